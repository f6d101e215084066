import { TensorpressError } from '../errors.js';
import type { Model } from '../runtime/model/model.js';
import { readLines, refused, textFile } from '../runtime/text/files.js';
import type { Tokenizer } from '../runtime/text/tokenizer.js';
import type { SharedTokenizer } from './shared-tokenizer.js';

/** Where texts begin. */
export interface Prompts {
  readonly ids: readonly (readonly number[])[];
  readonly eos: readonly number[];
  readonly tokenizer: Tokenizer | undefined;
}

/** Without texts of their own: so many tokens of so many windows. */
const [TOKENS, WINDOWS] = [32, 3];

/**
 * The texts of a file, one on a line; empty lines are skipped.
 * @throws TensorpressError ARGUMENT when it cannot be read, or holds no text
 */
export async function readPrompts(path: string): Promise<string[]> {
  const file = textFile(path);
  const prompts: string[] = [];
  for await (const { text } of readLines(file)) prompts.push(text.replace(/\r$/, ''));
  if (prompts.length > 0) return prompts;
  throw refused(path, `${file.name} holds no prompts`, 'write one on each line');
}

/**
 * The prompts as tokens, those of texts with BOS where the tokenizer adds it. Default: the beginnings of the first windows.
 * @throws TensorpressError ARGUMENT when a text has no tokens; MODEL when there is no tokenizer for texts, or it cannot be used
 */
export async function promptsOf(
  texts: readonly string[] | undefined,
  windows: readonly { ids: Int32Array }[],
  { config }: Model,
  shared: SharedTokenizer,
): Promise<Prompts> {
  const tokenizer = texts !== undefined || (await shared.exists()) ? await shared.load() : undefined;
  const eos = tokenizer?.eos ?? [config['eos_token_id']].flat().filter(id => typeof id === 'number');
  const windowed = windows.slice(0, WINDOWS).map(({ ids }) => [...ids.subarray(0, TOKENS)]);
  return { ids: texts?.map(text => encode(text, tokenizer!)) ?? windowed, eos, tokenizer };
}

function encode(text: string, { bos, addsBos, ...tokenizer }: Tokenizer): number[] {
  const before = bos !== undefined && addsBos ? [bos] : [];
  const ids = [...before, ...tokenizer.encode(text, { specials: true })];
  if (ids.length > 0) return ids;
  throw new TensorpressError('ARGUMENT', 'a prompt is empty, and this tokenizer puts no token before a text', {
    hint: 'give a text with --prompt, or leave it out',
  });
}
