import assert from 'node:assert/strict';
import fc from 'fast-check';
import { batchesOf } from '../../../src/run/forward/batches.js';

const rowsOf = (...lengths: number[]) => lengths.map((length, i) => Int32Array.from({ length }, (_, t) => 100 * i + t));

describe('batchesOf', () => {
  it('puts neighbours of equal length together', () => {
    const batches = batchesOf(rowsOf(3, 3, 2, 3));
    assert.deepEqual(
      batches.map(({ first, rows, length, ids }) => [first, rows, length, [...ids]]),
      [
        [0, 2, 3, [0, 1, 2, 100, 101, 102]],
        [2, 1, 2, [200, 201]],
        [3, 1, 3, [300, 301, 302]],
      ],
    );
  });

  it('every row comes once and in order, in batches of the size that was asked for', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 30 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 20 }), fc.boolean(), (given, tokens, alone) => {
        const rows = rowsOf(...given);
        const batches = batchesOf(rows, { tokens, alone });
        const back = batches.flatMap(({ ids, length, rows: count }) =>
          Array.from({ length: count }, (_, i) => ids.slice(i * length, (i + 1) * length)),
        );
        assert.deepEqual(back, rows);
        let next = 0;
        for (const { first, rows: count, ids } of batches) {
          assert.equal(first, next);
          next += count;
          assert.ok(count === 1 || (!alone && ids.length <= tokens));
        }
      }),
    );
  });
});
