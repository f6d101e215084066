import { TensorpressError } from '../../src/errors.js';
import { serve } from '../../src/run/thread-side.js';

/** What the thread is to do. */
export type EchoTask = 'answer' | 'fail' | 'break' | 'exit' | 'wait' | 'hold' | 'environment';

const pause = () => new Promise(done => setTimeout(done, 5));

// A thread for the tests of threads.
await serve<EchoTask, string, string>(async (task, onEvent, stopping) => {
  onEvent('begun');
  switch (task) {
    case 'answer':
      break;
    case 'fail':
      throw new TensorpressError('DISK', 'the disk is full', { place: { file: 'a' }, hint: 'free some' });
    case 'break':
      throw new RangeError('out of range');
    case 'exit':
      process.exit(3);
      break;
    case 'environment':
      process.env['TENSORPRESS_ECHO'] = 'heard';
      break;
    case 'wait':
      for (;;) await pause();
    case 'hold':
      stopping.hold();
      onEvent('held');
      try {
        for (;;) {
          await pause();
          stopping.check();
        }
      } finally {
        for (let i = 0; i < 10; i++) await pause();
        process.env['TENSORPRESS_ECHO'] = 'in order';
      }
  }
  return `${task} done`;
});
