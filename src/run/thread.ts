import { SHARE_ENV, Worker } from 'node:worker_threads';
import { TensorpressError, type ErrorCode, type ErrorOptions } from '../errors.js';
import { UNSETTLED } from '../recipe/plugins/ended.js';
import { errnoOf } from '../formats/files.js';
import { Stopped, Stopping } from './stopping.js';

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
  /** Whether the thread may never look whether it was stopped, since a user's code runs in it. Default: it always looks. */
  readonly mayHang?: () => boolean;
  /** The error for a thread that a user's code has ended; undefined where it was not its doing. Default: INTERNAL. */
  readonly blame?: (end: ThreadEnd) => TensorpressError | undefined;
}

/** How a thread ended by itself: by what nobody caught, by `process.exit`, or waiting for something that nothing can settle any more. */
export type ThreadEnd = { readonly thrown: string } | { readonly exit: number } | 'waiting';

/** How long a user's code is waited for once the work is stopped, in milliseconds. */
const PATIENCE = 3000;

/** What the thread is given. */
export interface ThreadData<Task> {
  readonly task: Task;
  /** Of a `Stopping`. */
  readonly stopping: SharedArrayBuffer;
}

/**
 * Does a long piece of work in a thread of its own: this one stays free to show progress, and stopping ends the work, at once or where it looks
 * (`Stopping`).
 * @param module the file of the thread; it calls `serve`
 * @throws Stopped when the signal says so; what the work throws; TensorpressError INTERNAL when the thread dies
 */
export async function inThread<Task, Event, Result>(
  module: URL,
  task: Task,
  { signal, onEvent, hint, mayHang, blame }: InThread<Event>,
): Promise<Result> {
  if (signal?.aborted) throw new Stopped();
  const stopping = new Stopping();
  const workerData: ThreadData<Task> = { task, stopping: stopping.memory };
  // one environment: native libraries read that of the process, not a thread's copy
  // the data of a run lies outside of the heap: a larger nursery would only make the process larger
  const worker = new Worker(module, { workerData, env: SHARE_ENV, resourceLimits: { maxYoungGenerationSizeMb: 8 } });
  let stop = () => {};
  let patience: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Result>((done, reject) => {
      let reason: unknown;
      const fail = (error: unknown) => reject(reason ?? error);
      const end = (why: unknown) => {
        if (reason !== undefined) return;
        reason = why;
        if (stopping.stop()) reject(why);
        else if (mayHang?.()) patience = setTimeout(() => reject(why), PATIENCE);
      };
      stop = () => end(new Stopped());
      signal?.addEventListener('abort', stop);
      worker.on('message', (message: Message<Event, Result>) => {
        if (message.type === 'done') {
          // work that was done before it looked is done
          return reason === undefined || reason instanceof Stopped ? done(message.result) : fail(reason);
        }
        if (message.type === 'failed') return fail(revive(message));
        try {
          onEvent(message.event);
        } catch (error) {
          end(error);
        }
      });
      let thrown: { readonly error: unknown } | undefined;
      worker.once('error', (error: unknown) => (thrown = { error }));
      // only now everything has come that the thread told
      worker.once('exit', code => {
        if (thrown !== undefined) return fail(died(thrown.error, hint, blame));
        const known = blame?.(code === UNSETTLED ? 'waiting' : { exit: code });
        fail(known ?? new TensorpressError('INTERNAL', `the run's thread ended (${code})`, { hint }));
      });
    });
  } finally {
    clearTimeout(patience);
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}

function revive({ code, message, stack, options }: Message<never, never> & { type: 'failed' }): TensorpressError {
  const error = new TensorpressError(code, message, options);
  if (stack !== undefined) error.stack = stack;
  return error;
}

function died(error: unknown, hint: string, blame: InThread<never>['blame']): TensorpressError {
  if (errnoOf(error) === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new TensorpressError('INTERNAL', 'the run needs more memory than Node.js allows it', {
      hint: `${hint} with NODE_OPTIONS=--max-old-space-size=8192`,
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  const known = blame?.({ thrown: message });
  if (known !== undefined) return known;
  return new TensorpressError('INTERNAL', `the run's thread failed: ${message}`, { hint, cause: error });
}
