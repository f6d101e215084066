import { parentPort, workerData } from 'node:worker_threads';
import { TensorpressError } from '../errors.js';
import type { Message, Task } from './apply.js';
import { runSession } from './session.js';

// The thread of a run: takes the options, tells events, ends with a result or an error. Classes do not survive the way, so errors go as data.
const tell = (message: Message) => parentPort!.postMessage(message);
const { options, lock } = workerData as Task;

try {
  const applied = await runSession({ ...options, onEvent: event => tell({ type: 'event', event }) }, lock);
  tell({ type: 'done', applied });
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
