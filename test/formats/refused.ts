import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';

/** The TensorpressError that `work` ends in; anything else fails the test. */
export async function refused(work: () => unknown): Promise<TensorpressError> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof TensorpressError, error instanceof Error ? error.stack : String(error));
    return error;
  }
  return assert.fail('it was accepted');
}

/** Cases of a fuzz test: `base`, or TENSORPRESS_FUZZ when that is set. */
export function fuzzCases(base: number): number {
  return Number(process.env['TENSORPRESS_FUZZ'] ?? base);
}
