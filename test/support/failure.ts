import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';

/** The error of work that has to fail: one of ours, in one line. */
export async function failure(work: Promise<unknown>): Promise<TensorpressError> {
  const error: unknown = await work.then(
    () => assert.fail('it did not fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TensorpressError, String((error as Error).stack));
  assert.ok(!error.message.includes('\n'));
  return error;
}
