import { join, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import type { ComparedName, Interval } from '../evaluation/bootstrap.js';
import type { HiddenFigures } from '../evaluation/hidden.js';
import type { Perplexity } from '../evaluation/next-token.js';
import type { Comparison } from '../evaluation/scores.js';
import type { Device, EngineName } from '../runtime/engine/engine.js';
import { userCache } from '../runtime/model/user-cache.js';
import type { Generation } from './generations.js';
import { Stopped } from './stopping.js';
import type { TaskResult } from './task.js';
import { inThread } from './thread.js';

export interface EvaluateOptions {
  /** A model folder: dense, or compressed-tensors. Or `org/name[@revision]`. */
  readonly model: string;
  /** A model that it is compared with: what it was made from. */
  readonly against?: string;
  /** A file of texts or token ids, see `documents`. */
  readonly data: string;
  /** Tokens of a window. Default: 512. */
  readonly context?: number;
  /** Tokens between the beginnings of two windows; only those that no earlier window scored are scored. Default: the context. */
  readonly stride?: number;
  /** Windows at most. Default: all. */
  readonly windows?: number;
  /** `windows`: every token of a window but its first is scored. `llama`: as llama-perplexity does. Default: windows. */
  readonly protocol?: 'windows' | 'llama';
  /** A safetensors file for the logits of every row. */
  readonly logits?: string;
  /** Continue texts by so many tokens at most, the model and its base side by side. Default: none. */
  readonly generate?: number;
  /** The texts to continue. Default: the first 32 tokens of the first three windows. */
  readonly prompts?: readonly string[];
  /** A file of multiple-choice questions that are answered, too. */
  readonly task?: string;
  readonly engine?: EngineName;
  /** Default: auto, a real GPU where there is one. */
  readonly device?: Device | 'auto';
  readonly threads?: number;
  /** Where perplexities of models alone are kept, so that none is measured twice. Default: `perplexity` in the user's cache folder. */
  readonly cacheDir?: string;
  /** Measure, even if the perplexity is known. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EvaluateEvent) => void;
}

export type EvaluateEvent =
  | { readonly type: 'download'; readonly file: string; readonly bytes: number; readonly total: number }
  | { readonly type: 'begin'; readonly engine: string; readonly windows: number; readonly tokens: number }
  | { readonly type: 'questions'; readonly engine: string; readonly questions: number; readonly tokens: number }
  | { readonly type: 'progress'; readonly part: string; readonly done: number; readonly total: number };

/** What is found of a model, alone or against a base. */
export type Judgement = (Perplexity | Comparison) & {
  /** 95 % bootstrap intervals over windows; null for a single window. */
  readonly intervals: Partial<Readonly<Record<ComparedName, Interval>>> | null;
  /** How far hidden states are from the base's behind the embedding (layer -1) and each layer. */
  readonly layers?: readonly ({ readonly layer: number } & HiddenFigures)[];
  readonly notes: readonly string[];
};

export type Evaluation = Judgement & {
  readonly generations?: readonly Generation[];
  readonly task?: TaskResult;
  readonly model: string;
  readonly data: string;
  readonly protocol: 'windows' | 'llama';
  readonly context: number;
  readonly windows: number;
  /** Tokens that went through the model. */
  readonly tokens: number;
  readonly seconds: number;
  readonly tokens_per_second: number;
  readonly peak_memory_bytes: number;
  readonly engine: string;
  /** Of the token ids, all rows. */
  readonly rows_sha256: string;
  readonly logits: string | null;
};

/** With a base to compare with. */
export type ComparedEvaluation = Extract<Evaluation, Comparison>;

/** What the thread is given. */
export type EvaluateTask = Omit<EvaluateOptions, 'signal' | 'onEvent'>;

/** What is asked of models that are open. */
export type EvaluateOn = Omit<EvaluateTask, 'model' | 'against'> & {
  /** The folder that holds the tokenizer. Default: the model's. */
  readonly tokenizer?: string;
};

/**
 * Runs a model over texts and judges how well it predicts them. The work lives in a thread of its own; stopping it ends it at once.
 * @throws TensorpressError ARGUMENT, MODEL, TENSOR, ENGINE, DISK; INTERRUPTED when `signal` says so
 */
export async function evaluate({ signal, onEvent = () => {}, ...options }: EvaluateOptions): Promise<Evaluation> {
  checkGenerate(options);
  const task: EvaluateTask = {
    ...options,
    data: resolve(options.data),
    cacheDir: resolve(options.cacheDir ?? join(userCache(), 'perplexity')),
    ...(options.task === undefined ? {} : { task: resolve(options.task) }),
  };
  try {
    return await inThread<EvaluateTask, EvaluateEvent, Evaluation>(
      new URL('./evaluate-thread.js', import.meta.url),
      task,
      {
        signal,
        onEvent,
        hint: 'run the same command again',
      },
    );
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    throw new TensorpressError('INTERRUPTED', 'stopped; nothing was written', { hint: 'run the same command again' });
  }
}

function checkGenerate({ generate, prompts, against }: EvaluateOptions): void {
  if (generate !== undefined && !(Number.isInteger(generate) && generate >= 1)) {
    throw new TensorpressError('ARGUMENT', `generate is ${generate}, expected a whole number from 1 on`);
  }
  if (prompts !== undefined && generate === undefined) {
    throw new TensorpressError('ARGUMENT', 'there is a prompt, but nothing is to be generated', {
      hint: 'add --generate N',
    });
  }
  if (generate !== undefined && against === undefined) {
    throw new TensorpressError('ARGUMENT', 'texts are generated side by side with a base, and there is none', {
      hint: 'add --against MODEL',
    });
  }
}
