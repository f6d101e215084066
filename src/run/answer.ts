import { resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import type { EvaluateEvent, EvaluateOptions } from './evaluate.js';
import { Stopped } from './stopping.js';
import type { TaskResult } from './task.js';
import { inThread } from './thread.js';

export interface AnswerOptions extends Pick<
  EvaluateOptions,
  'model' | 'against' | 'engine' | 'device' | 'threads' | 'signal' | 'onEvent'
> {
  /** A .jsonl file of multiple-choice questions. */
  readonly task: string;
}

/** What the thread is given. */
export type AnswerTask = Omit<AnswerOptions, 'signal' | 'onEvent'>;

/** How a model answered the questions of a task. */
export interface Answered {
  readonly model: string;
  readonly task: TaskResult;
  readonly seconds: number;
  readonly peak_memory_bytes: number;
  readonly engine: string;
}

/**
 * Lets a model answer multiple-choice questions, and nothing else: `evaluate` without a text. The work lives in a thread of its own.
 * @throws TensorpressError ARGUMENT, MODEL, TENSOR, ENGINE; INTERRUPTED when `signal` says so
 */
export async function answer({ signal, onEvent = () => {}, ...options }: AnswerOptions): Promise<Answered> {
  const hint = 'run the same command again';
  try {
    return await inThread<AnswerTask, EvaluateEvent, Answered>(
      new URL('./answer-thread.js', import.meta.url),
      { ...options, task: resolve(options.task) },
      { signal, onEvent, hint },
    );
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    throw new TensorpressError('INTERRUPTED', 'stopped; nothing was written', { hint });
  }
}
