import { freemem } from 'node:os';
import type { Engine } from '../runtime/engine/engine.js';
import type { Tokenizer } from '../runtime/text/tokenizer.js';
import { openGenerator } from './forward/generate.js';
import { residentBytes } from './forward/resident.js';
import type { Runnable } from './forward/runnable.js';
import type { Prompts } from './prompts.js';
import { formatBytes } from './units.js';

/** How two models continue a text. */
export interface Generation {
  /** Texts, as the tokenizer reads tokens; token ids where there is no tokenizer. */
  readonly prompt: string | readonly number[];
  readonly base: string | readonly number[];
  readonly model: string | readonly number[];
  /** New tokens before the first difference. */
  readonly same_tokens: number;
  /** New tokens of the longer continuation. */
  readonly tokens: number;
}

export interface Generating {
  readonly engine: Engine;
  readonly model: Runnable & { readonly name: string };
  readonly base: Runnable & { readonly name: string };
  readonly prompts: Prompts;
  /** New tokens at most. */
  readonly tokens: number;
  /** Called after each of them: may throw to stop. */
  readonly onToken?: (done: number, total: number) => void;
  /** Bytes that the weights of a model may take. Default: half of what is free. */
  readonly memory?: number;
}

/**
 * The most likely continuations of two models, one model in memory after the other.
 * @returns no generations, but a sentence, where the weights of one do not fit
 */
export async function generationsOf(
  options: Generating,
): Promise<{ readonly generations?: readonly Generation[]; readonly notes: readonly string[] }> {
  const { engine, model, base, prompts, tokens, onToken, memory = freemem() / 2 } = options;
  for (const { name, decoder, reader } of [base, model]) {
    const bytes = await residentBytes(decoder, reader);
    if (bytes <= memory) continue;
    const room = `half of the free memory is ${formatBytes(memory)}`;
    return {
      notes: [`no texts are generated: in float32 the weights of ${name} take ${formatBytes(bytes)}, and ${room}`],
    };
  }
  const { ids, eos, tokenizer } = prompts;
  const total = 2 * ids.length * tokens;
  let done = 0;
  const made: number[][][] = [];
  for (const { decoder, reader } of [base, model]) {
    const generator = openGenerator({ engine, decoder, reader });
    try {
      const texts: number[][] = [];
      for (const prompt of ids) {
        texts.push(await generator.generate(prompt, { tokens, eos, onToken: () => onToken?.(++done, total) }));
        done = (made.length * ids.length + texts.length) * tokens; // a text may end before its time
      }
      made.push(texts);
    } finally {
      generator.close();
    }
  }
  const generations = ids.map((prompt, i): Generation => {
    const [ofBase, ofModel] = [made[0]![i]!, made[1]![i]!];
    const first = ofBase.findIndex((token, t) => ofModel[t] !== token);
    return {
      prompt: tokenizer?.decode(prompt) ?? prompt,
      base: textOf(ofBase, prompt, tokenizer),
      model: textOf(ofModel, prompt, tokenizer),
      same_tokens: first < 0 ? ofBase.length : first,
      tokens: Math.max(ofBase.length, ofModel.length),
    };
  });
  return { generations, notes: [] };
}

/** What new tokens add to a prompt: the first may be half of a character, or begin with a space that stands at no text's beginning. */
function textOf(made: readonly number[], prompt: readonly number[], tokenizer: Tokenizer | undefined) {
  if (tokenizer === undefined) return made;
  const [before, all] = [tokenizer.decode(prompt), tokenizer.decode([...prompt, ...made])];
  return all.startsWith(before) ? all.slice(before.length) : tokenizer.decode(made);
}
