import { SHARE_ENV, Worker } from 'node:worker_threads';
import { TensorpressError, type ErrorCode, type ErrorOptions } from '../errors.js';
import { errnoOf } from '../formats/files.js';

/** What a thread tells the one that started it. Classes do not survive the way, so errors go as data. */
export type Message<Event, Result> =
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'done'; readonly result: Result }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly stack: string | undefined;
      readonly options: ErrorOptions;
    };

export interface InThread<Event> {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent: (event: Event) => void;
  /** What is said when the thread dies: what is lost, and what to do. */
  readonly hint: string;
}

/** The work was stopped through its signal. */
export class Stopped extends Error {}

/**
 * Does a long piece of work in a thread of its own: this one stays free to show progress, and stopping ends the work at once.
 * @param module the file of the thread; it calls `serve`
 * @throws Stopped when the signal says so; what the work throws; TensorpressError INTERNAL when the thread dies
 */
export async function inThread<Task, Event, Result>(
  module: URL,
  task: Task,
  { signal, onEvent, hint }: InThread<Event>,
): Promise<Result> {
  if (signal?.aborted) throw new Stopped();
  // one environment: native libraries read that of the process, not a thread's copy
  const worker = new Worker(module, { workerData: task, env: SHARE_ENV });
  let stop = () => {};
  try {
    return await new Promise<Result>((done, fail) => {
      stop = () => fail(new Stopped());
      signal?.addEventListener('abort', stop);
      worker.on('message', (message: Message<Event, Result>) => {
        if (message.type === 'done') return done(message.result);
        if (message.type === 'failed') return fail(revive(message));
        try {
          onEvent(message.event);
        } catch (error) {
          fail(error);
        }
      });
      worker.once('error', error => fail(died(error, hint)));
      worker.once('exit', code => fail(new TensorpressError('INTERNAL', `the run's thread ended (${code})`, { hint })));
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

function revive({ code, message, stack, options }: Message<never, never> & { type: 'failed' }): TensorpressError {
  const error = new TensorpressError(code, message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function died(error: unknown, hint: string): TensorpressError {
  if (errnoOf(error) === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new TensorpressError('INTERNAL', 'the run needs more memory than Node.js allows it', {
      hint: `${hint} with NODE_OPTIONS=--max-old-space-size=8192`,
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new TensorpressError('INTERNAL', `the run's thread failed: ${message}`, { hint, cause: error });
}
