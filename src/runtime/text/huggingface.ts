import * as jinjaPackage from '@huggingface/jinja';
import * as library from '@huggingface/tokenizers';

// The types of both packages are written for bundlers: Node's way to resolve modules finds few of them. These are the parts used here.

interface Library {
  readonly SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null };
  readonly SequenceNormalizer: new (config: object) => { normalize(text: string): string };
  readonly SequenceDecoder: new (config: object) => { decode_chain(tokens: string[]): string[] };
}

const { SplitPreTokenizer, SequenceNormalizer, SequenceDecoder } = library as unknown as Library;

/** A pattern of a tokenizer.json (`{Regex}` in Oniguruma's syntax, or `{String}`) as a JavaScript expression; null when it is neither. */
export function patternOf(pattern: unknown): RegExp | null {
  return new SplitPreTokenizer({ type: 'Split', pattern, behavior: 'Isolated', invert: false }).pattern;
}

/** One of the package's own normalizers. */
export function normalizerOf(config: object): (text: string) => string {
  const step = new SequenceNormalizer({ type: 'Sequence', normalizers: [config] });
  return text => step.normalize(text);
}

/** One of the package's own decoders. */
export function decoderOf(config: object): (tokens: readonly string[]) => string[] {
  const step = new SequenceDecoder({ type: 'Sequence', decoders: [config] });
  return tokens => step.decode_chain([...tokens]);
}

export interface JinjaTemplate {
  /** The program that an interpreter runs. */
  readonly parsed: object;
}

interface JinjaEnvironment {
  set(name: string, value: unknown): unknown;
}

/** The template language of chat templates. */
export const jinja = jinjaPackage as unknown as {
  readonly Template: new (source: string) => JinjaTemplate;
  readonly Environment: new () => JinjaEnvironment;
  readonly Interpreter: new (environment: JinjaEnvironment) => { run(program: object): { readonly value: unknown } };
};
