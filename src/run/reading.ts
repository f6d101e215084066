import { extname } from 'node:path';
import type { Model } from '../runtime/model/model.js';
import type { TokenRows } from '../runtime/text/texts.js';
import type { EvaluateOn } from './evaluate.js';
import { promptsOf, type Prompts } from './prompts.js';
import { sharedTokenizer } from './shared-tokenizer.js';
import { readTask, type Task } from './task.js';
import { windowsOf } from './windows.js';

/** What an evaluation reads before a model runs. */
export interface Reading {
  readonly windows: TokenRows;
  /** Where texts are to be continued. */
  readonly prompts: Prompts | undefined;
  /** Where questions are to be answered. */
  readonly task: Task | undefined;
}

/**
 * Reads and tokenizes the text, the prompts and the questions, all with one tokenizer.
 * @throws TensorpressError ARGUMENT, MODEL when one of them cannot be used
 */
export async function readFor(model: Model, options: EvaluateOn, vocabulary: number): Promise<Reading> {
  const tokenizer = sharedTokenizer(options.tokenizer ?? model.folder, vocabulary);
  const windows = await windowsOf(options, tokenizer, vocabulary);
  const { generate, prompts, task } = options;
  return {
    windows,
    prompts: generate === undefined ? undefined : await promptsOf(prompts, windows.rows, model, tokenizer),
    task: task === undefined ? undefined : await readTask(task, tokenizer),
  };
}

/**
 * A note where the tokenizer of the base makes other tokens of the text than `windows` holds, since both models are given those.
 * Tokens that are given as they are, and a base without a tokenizer, leave nothing to say.
 */
export async function unlikeTokens(
  model: Model,
  base: Model,
  options: EvaluateOn,
  { vocabulary, windows }: { readonly vocabulary: number; readonly windows: TokenRows },
): Promise<string | undefined> {
  const tokenizer = sharedTokenizer(base.folder, vocabulary);
  if (options.tokenizer !== undefined || extname(options.data) === '.json' || !(await tokenizer.exists()))
    return undefined;
  // one that cannot be used is another one, too
  const own = await windowsOf(options, tokenizer, vocabulary).catch(() => undefined);
  return own?.sha256 === windows.sha256
    ? undefined
    : `${base.name} has another tokenizer than ${model.name}: both are given the tokens of ${model.name}, so figures of the base are not its own`;
}
