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
