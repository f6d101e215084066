import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { TensorpressError, type ErrorCode, type ErrorOptions } from '../errors.js';
import type { RunEvent } from './events.js';
import { releaseOwnLock } from './lock.js';
import type { PlanOptions } from './prepare.js';
import type { Report } from './report.js';

export interface ApplyOptions extends PlanOptions {
  /** The run folder: checkpoint, run.json and report. */
  readonly out: string;
  /** Replace what the folder holds, an unfinished run included. Default: false. */
  readonly force?: boolean;
  /** Threads that compute beside the run's own; they change nothing but the time. Default: one per core, fewer for a small model. */
  readonly threads?: number;
  /** The date that the report carries. Default: now. */
  readonly date?: Date;
}

export interface Applied {
  readonly folder: string;
  readonly report: Report;
}

/** What the run's thread tells this one. */
export type Message =
  | { readonly type: 'event'; readonly event: RunEvent }
  | { readonly type: 'done'; readonly applied: Applied }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly stack: string | undefined;
      readonly options: ErrorOptions;
    };

/**
 * Compresses a model by a recipe; an unfinished run of the same recipe and model in the folder is continued. The whole run lives in a
 * thread of its own, so this one stays free, and aborting ends it at once: what is on the disk is enough to go on from.
 * @throws TensorpressError; the folder looks finished (holds run.json) only when everything in it is
 */
export async function apply({ onEvent = () => {}, signal, now: _now, ...options }: ApplyOptions): Promise<Applied> {
  if (signal?.aborted) throw interrupted(undefined);
  const worker = new Worker(new URL('./apply-thread.js', import.meta.url), { workerData: options });
  let last: (RunEvent & { type: 'progress' }) | undefined;
  try {
    return await new Promise<Applied>((resolvePromise, reject) => {
      signal?.addEventListener('abort', () => reject(interrupted(last)), { once: true });
      worker.on('message', (message: Message) => {
        if (message.type === 'done') return resolvePromise(message.applied);
        if (message.type === 'failed') return reject(revive(message));
        if (message.event.type === 'progress') last = message.event;
        onEvent(message.event);
      });
      worker.once('error', reject);
      worker.once('exit', code => reject(new TensorpressError('INTERNAL', `the run ended unexpectedly (${code})`)));
    });
  } finally {
    await worker.terminate();
    releaseOwnLock(resolve(options.out));
  }
}

function revive({ code, message, stack, options }: Message & { type: 'failed' }): TensorpressError {
  const error = new TensorpressError(code, message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function interrupted(last: (RunEvent & { type: 'progress' }) | undefined): TensorpressError {
  const where =
    last === undefined
      ? 'before work began'
      : `in ${last.part}, ${Math.round((100 * last.done) / Math.max(1, last.total))} % done`;
  return new TensorpressError('INTERRUPTED', `stopped ${where}; nothing is lost`, {
    hint: last === undefined ? 'run the same command again' : 'the same command goes on from the last finished part',
  });
}
