import assert from 'node:assert/strict';
import { meanOf, normalTail, quantile, shareInterval, studentQuantile } from '../../src/evaluation/statistics.js';

const near = (actual: number, expected: number, error = 1e-12) =>
  assert.ok(Math.abs(actual - expected) <= error * Math.abs(expected), `${actual} is not ${expected}`);

describe('statistics', () => {
  it('gives mean and error', () => {
    assert.deepEqual(meanOf([1, 3]), { mean: 2, error: 1 });
    assert.deepEqual(meanOf([5]), { mean: 5, error: 0 });
    near(meanOf([1e9 + 1, 1e9 + 2, 1e9 + 3]).error, Math.sqrt(1 / 3));
  });

  it('gives intervals of shares: those with which the share is at 1.96 errors from what they begin and end with', () => {
    for (const [share, n] of [
      [0.8, 80],
      [0.5, 3],
      [0.99, 1000],
    ] as const) {
      const { low, high } = shareInterval(share, n);
      assert.ok(low < share && share < high);
      for (const p of [low, high]) near(Math.abs(share - p) / Math.sqrt((p * (1 - p)) / n), 1.959963984540054, 1e-9);
    }
    assert.equal(shareInterval(1, 10).high, 1);
    near(shareInterval(1, 10).low, 0.7224672001371106);
    assert.equal(shareInterval(0, 10).low, 0);
  });

  it('covers the true share 95 times in 100, on average over shares', () => {
    const n = 80;
    const choose = [1];
    for (let k = 0; k < n; k++) choose.push((choose[k]! * (n - k)) / (k + 1));
    const covered = (p: number) =>
      choose.reduce((sum, ways, k) => {
        const { low, high } = shareInterval(k / n, n);
        return low <= p && p <= high ? sum + ways * p ** k * (1 - p) ** (n - k) : sum;
      }, 0);
    const shares = Array.from({ length: 161 }, (_, i) => 0.1 + i * 0.005);
    const mean = meanOf(shares.map(covered)).mean;
    assert.ok(Math.abs(mean - 0.95) < 0.005, String(mean));
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
