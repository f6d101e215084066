import assert from 'node:assert/strict';
import { random, xoshiro128 } from '../../src/numerics/random.js';

describe('random', () => {
  it('is xoshiro128**', () => {
    const { uint32 } = xoshiro128([1, 2, 3, 4]);
    assert.deepEqual(Array.from({ length: 5 }, uint32), [11520, 0, 5927040, 70819200, 2031721883]);
  });

  it('gives each seed and use a stream of its own, always the same', () => {
    const first = (...keys: readonly [number, ...(string | number)[]]) => random(...keys).uint32();
    assert.equal(first(0, 'calibration'), first(0, 'calibration'));
    const uses = [
      first(0),
      first(1),
      first(0, 'a'),
      first(0, 'b'),
      first(0, 'a', 0),
      first(0, 'a', 1),
      first(0, 'a', '1'),
    ];
    assert.equal(new Set(uses).size, uses.length);
  });

  it('is uniform over [0, 1)', () => {
    const { float64 } = random(7);
    const n = 20_000;
    const bins = new Int32Array(10);
    let sum = 0;
    for (let i = 0; i < n; i += 1) {
      const x = float64();
      assert.ok(x >= 0 && x < 1);
      bins[Math.floor(10 * x)]! += 1;
      sum += x;
    }
    assert.ok(Math.abs(sum / n - 0.5) < 0.01, String(sum / n));
    for (const count of bins) assert.ok(Math.abs(count - n / 10) < 200, String(count));
  });
});
