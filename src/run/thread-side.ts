import { parentPort, workerData } from 'node:worker_threads';
import { TensorpressError } from '../errors.js';
import { Stopping } from './stopping.js';
import type { Message, ThreadData } from './thread.js';

/**
 * The other side of `inThread`: takes the task, tells events, ends with a result or an error.
 * @param work calls `hold` of what it is given before it lets native code compute, and `check` now and then from there on
 */
export async function serve<Task, Event, Result>(
  work: (task: Task, onEvent: (event: Event) => void, stopping: Stopping) => Promise<Result>,
): Promise<void> {
  const { task, stopping } = workerData as ThreadData<Task>;
  const tell = (message: Message<Event, Result>) => parentPort!.postMessage(message);
  try {
    tell({ type: 'done', result: await work(task, event => tell({ type: 'event', event }), new Stopping(stopping)) });
  } catch (error) {
    const known = error instanceof TensorpressError ? error : undefined;
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    tell({
      type: 'failed',
      code: known?.code ?? 'INTERNAL',
      message: known ? message : `something unexpected happened: ${message}`,
      stack,
      options: {
        ...(known ? { place: known.place, diagnostics: known.diagnostics } : {}),
        ...(known?.hint === undefined ? {} : { hint: known.hint }),
      },
    });
  }
}
