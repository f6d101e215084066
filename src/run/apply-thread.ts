import type { Applied, Task } from './apply.js';
import type { RunEvent } from './events.js';
import { runSession } from './session.js';
import { serve } from './thread-side.js';

// The thread of a run.
await serve<Task, RunEvent, Applied>(({ options, lock }, onEvent, stopping) =>
  runSession({ ...options, onEvent }, lock, stopping),
);
