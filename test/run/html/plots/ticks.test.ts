import assert from 'node:assert/strict';
import fc from 'fast-check';
import { layerTicks, logTicks, ticksAround, ticksFromZero } from '../../../../src/run/html/plots/ticks.js';

describe('ticks of the plots', () => {
  it('start at zero, are equally far apart, and hold the highest value in their last step', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e3, noNaN: true }), highest => {
        const ticks = ticksFromZero(highest);
        const step = ticks[1]!;
        assert.equal(ticks[0], 0);
        assert.ok(ticks.length >= 2 && ticks.length <= 4, `${ticks.length}`);
        ticks.forEach((tick, i) => assert.ok(Math.abs(tick - i * step) <= step * 1e-9));
        assert.ok(ticks.at(-1) >= highest * (1 - 1e-6) && ticks.at(-2) < highest, `${highest}: ${ticks.join()}`);
      }),
    );
    assert.deepEqual(ticksFromZero(0.0249), [0, 0.01, 0.02, 0.03]);
    assert.deepEqual(ticksFromZero(0), [0, 1]);
  });

  it('mark the first, the middle and the last layer', () => {
    assert.deepEqual([1, 2, 23].map(layerTicks), [
      [0, 1],
      [0, 1, 2],
      [0, 12, 23],
    ]);
  });

  it('of a logarithmic scale are powers of ten that hold all, or 1, 2, 5 and 10 of one', () => {
    assert.deepEqual(logTicks(0.002, 0.004), [0.001, 0.002, 0.005, 0.01]);
    assert.deepEqual(logTicks(0.001, 0.1), [0.001, 0.01, 0.1]);
    assert.deepEqual(logTicks(0.01, 0.01), [0.01, 0.02, 0.05, 0.1]);
    const error = fc.double({ min: 1e-12, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(error, error, (a, b) => {
        const [lowest, highest] = [Math.min(a, b), Math.max(a, b)];
        const ticks = logTicks(lowest, highest);
        assert.ok(ticks.length >= 2 && ticks.length <= 6, ticks.join());
        assert.ok(ticks[0]! <= lowest * (1 + 1e-6) && ticks.at(-1)! >= highest * (1 - 1e-6), ticks.join());
        ticks.forEach((tick, i) => assert.ok(i === 0 || tick > ticks[i - 1]!));
      }),
    );
  });

  it('around sizes hold all of them in up to five equal steps', () => {
    assert.deepEqual(ticksAround(457, 632), [450, 500, 550, 600, 650]);
    assert.deepEqual(ticksAround(0, 0), [0, 0.1]);
    assert.deepEqual(ticksAround(999999999972, 999999999973), [1e12, 1.1e12]);
    const size = fc.integer({ min: 0, max: 1e12 });
    fc.assert(
      fc.property(size, size, (a, b) => {
        const [lowest, highest] = [Math.min(a, b), Math.max(a, b)];
        const ticks = ticksAround(lowest, highest);
        const step = ticks[1]! - ticks[0]!;
        assert.ok(ticks.length >= 2 && ticks.length <= 6, ticks.join());
        assert.ok(ticks[0]! <= lowest + 1e-6 * step && ticks.at(-1)! >= highest - 1e-6 * step, ticks.join());
        ticks.forEach((tick, i) => assert.ok(Math.abs(tick - ticks[0]! - i * step) <= 1e-6 * step));
      }),
    );
  });
});
