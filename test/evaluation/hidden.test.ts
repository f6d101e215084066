import assert from 'node:assert/strict';
import { HiddenError } from '../../src/evaluation/hidden.js';
import { normal } from '../support/numbers.js';

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual}, expected ${expected}`);

describe('HiddenError', () => {
  it('adds up over batches', () => {
    const [h, other] = [normal(6 * 8, 1), normal(6 * 8, 2)];
    const whole = new HiddenError(8);
    whole.add(h, other);
    const parts = new HiddenError(8);
    parts.add(h.subarray(0, 16), other.subarray(0, 16));
    parts.add(h.subarray(16), other.subarray(16));
    near(parts.figures().rel_mse, whole.figures().rel_mse);
    near(parts.figures().cosine, whole.figures().cosine);
  });

  it('weighs all elements in the error, every token in the cosine', () => {
    const error = new HiddenError(2);
    error.add(Float64Array.of(10, 0, 1, 1), Float64Array.of(20, 0, 1, -1));
    near(error.figures().rel_mse, 104 / 102);
    near(error.figures().cosine, 0.5);
  });

  it('is exactly 0 and 1 for equal states, zeros among them', () => {
    const h = normal(4 * 16, 3, 1e3);
    h.fill(0, 0, 16);
    const error = new HiddenError(16);
    error.add(h, h);
    assert.deepEqual(error.figures(), { rel_mse: 0, cosine: 1 });
  });

  it('says what states without a direction are', () => {
    const error = new HiddenError(2);
    error.add(Float64Array.of(0, 0), Float64Array.of(1, 0));
    assert.deepEqual(error.figures(), { rel_mse: Infinity, cosine: 0 });
  });
});
