import { parentPort, workerData } from 'node:worker_threads';
import { TensorpressError } from '../errors.js';
import type { Message } from './thread.js';

/** The other side of `inThread`: takes the task, tells events, ends with a result or an error. */
export async function serve<Task, Event, Result>(
  work: (task: Task, onEvent: (event: Event) => void) => Promise<Result>,
): Promise<void> {
  const tell = (message: Message<Event, Result>) => parentPort!.postMessage(message);
  try {
    tell({ type: 'done', result: await work(workerData as Task, event => tell({ type: 'event', event })) });
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
