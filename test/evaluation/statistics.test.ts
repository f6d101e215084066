import assert from 'node:assert/strict';
import { meanOf, normalTail, quantile, studentQuantile } from '../../src/evaluation/statistics.js';

const near = (actual: number, expected: number, error = 1e-12) =>
  assert.ok(Math.abs(actual - expected) <= error * Math.abs(expected), `${actual} is not ${expected}`);

describe('statistics', () => {
  it('gives mean and error', () => {
    assert.deepEqual(meanOf([1, 3]), { mean: 2, error: 1 });
    assert.deepEqual(meanOf([5]), { mean: 5, error: 0 });
    near(meanOf([1e9 + 1, 1e9 + 2, 1e9 + 3]).error, Math.sqrt(1 / 3));
  });

  it('interpolates quantiles at p (n - 1)', () => {
    assert.equal(quantile([1, 2, 4, 8], 0), 1);
    assert.equal(quantile([1, 2, 4, 8], 0.5), 3);
    assert.equal(quantile([1, 2, 4, 8], 1), 8);
    assert.equal(quantile([7], 0.99), 7);
  });

  it('knows the quantiles of Student and the tail of the normal distribution', () => {
    // tables
    for (const [freedom, t] of [
      [1, 12.7062047],
      [2, 4.30265273],
      [3, 3.18244631],
      [7, 2.36462425],
      [30, 2.04227246],
      [1000, 1.96233908],
    ] as const) {
      near(studentQuantile(0.95, freedom), t, 1e-8);
    }
    near(studentQuantile(0.99, 4), 4.60409487, 1e-8);
    assert.equal(normalTail(0), 0.5);
    near(normalTail(1.959963984540054), 0.025, 1e-12);
    near(normalTail(5), 2.866515718791939e-7, 1e-8);
    assert.equal(normalTail(40), 0);
  });
});
