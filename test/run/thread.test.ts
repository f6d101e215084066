import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';
import { Stopped, Stopping } from '../../src/run/stopping.js';
import { inThread } from '../../src/run/thread.js';
import type { EchoTask } from '../support/echo-thread.js';

const MODULE = new URL('../support/echo-thread.js', import.meta.url);

function echo(task: EchoTask, onEvent: (event: string) => void = () => {}, signal?: AbortSignal): Promise<string> {
  return inThread<EchoTask, string, string>(MODULE, task, { onEvent, signal, hint: 'try again' });
}

describe('inThread', () => {
  afterEach(() => delete process.env['TENSORPRESS_ECHO']);

  it('gives events, then the result', async () => {
    const events: string[] = [];
    assert.equal(await echo('answer', event => events.push(event)), 'answer done');
    assert.deepEqual(events, ['begun']);
  });

  it('gives errors as they were thrown', () =>
    assert.rejects(echo('fail'), (error: TensorpressError) => {
      assert.ok(error instanceof TensorpressError);
      const { code, message, place, hint } = error;
      assert.deepEqual([code, message, place, hint], ['DISK', 'the disk is full', { file: 'a' }, 'free some']);
      return true;
    }));

  it('calls other errors unexpected', () =>
    assert.rejects(echo('break'), {
      code: 'INTERNAL',
      message: 'something unexpected happened: out of range',
      stack: /echo-thread/,
    }));

  it('says that the thread ended, and what to do', () =>
    assert.rejects(echo('exit'), { code: 'INTERNAL', message: /ended \(3\)/, hint: 'try again' }));

  it('shares the environment, which native libraries read', async () => {
    await echo('environment');
    assert.equal(process.env['TENSORPRESS_ECHO'], 'heard');
  });

  it('does not begin when it is stopped before', async () => {
    const events: string[] = [];
    await assert.rejects(
      echo('wait', event => events.push(event), AbortSignal.abort()),
      Stopped,
    );
    assert.deepEqual(events, []);
  });

  it('ends a free thread at once', async () => {
    const abort = new AbortController();
    await assert.rejects(
      echo('wait', () => abort.abort(), abort.signal),
      Stopped,
    );
  });

  it('lets a thread that holds end itself, however often it is stopped', async () => {
    const abort = new AbortController();
    const onEvent = (event: string) => {
      if (event === 'held') setTimeout(() => abort.abort(), 20);
    };
    await assert.rejects(echo('hold', onEvent, abort.signal), Stopped);
    assert.equal(process.env['TENSORPRESS_ECHO'], 'in order');
  });

  it('ends the work when an event cannot be taken', async () => {
    const full = new Error('no room');
    for (const task of ['wait', 'hold'] as const) {
      await assert.rejects(
        echo(task, () => {
          throw full;
        }),
        full,
      );
    }
  });
});

describe('Stopping', () => {
  it('is free until it is held, and stopped for good', () => {
    const stopping = new Stopping();
    const other = new Stopping(stopping.memory);
    other.check();
    assert.equal(stopping.stop(), true);
    assert.throws(() => other.hold(), Stopped);
    assert.throws(() => other.check(), Stopped);

    const held = new Stopping();
    held.hold();
    held.check();
    assert.equal(held.stop(), false);
    assert.throws(() => held.check(), Stopped);
    assert.throws(() => held.release(), Stopped);

    const released = new Stopping();
    released.hold();
    released.release();
    assert.equal(released.stop(), true);
  });
});
