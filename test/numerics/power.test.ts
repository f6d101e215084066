import assert from 'node:assert/strict';
import fc from 'fast-check';
import { powerTables, raise } from '../../src/numerics/power.js';

describe('powers of float32 numbers', () => {
  it('agree with Math.pow to 1e-15', () => {
    for (const n of [0.5, 1, 2, 2.4, 3]) {
      const tables = powerTables(n);
      fc.assert(
        fc.property(fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }), x => {
          const expected = Math.pow(x, n);
          assert.ok(
            Math.abs(raise(x, tables) - expected) <= 1e-15 * expected,
            `${x} ** ${n}: ${raise(x, tables)}, ${expected}`,
          );
        }),
        { numRuns: 2000 },
      );
      assert.equal(raise(0, tables), 0);
    }
  });
});
