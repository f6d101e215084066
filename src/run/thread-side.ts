import { parentPort, workerData } from 'node:worker_threads';
import { TensorpressError } from '../errors.js';
import { stoppingHere, type ThreadData } from './stopping.js';
import type { Message } from './thread.js';

/**
 * The other side of `inThread`: takes the task, tells events, ends with a result or an error.
 * @param work calls `hold` of `stoppingHere` while native code computes for it; every event that it tells is a look at whether it was stopped
 */
export async function serve<Task, Event, Result>(
  work: (task: Task, onEvent: (event: Event) => void) => Promise<Result>,
): Promise<void> {
  const { task } = workerData as ThreadData<Task>;
  const stopping = stoppingHere();
  const tell = (message: Message<Event, Result>) => parentPort!.postMessage(message);
  try {
    const onEvent = (event: Event) => {
      stopping.check();
      tell({ type: 'event', event });
    };
    tell({ type: 'done', result: await work(task, onEvent) });
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
