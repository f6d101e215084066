import assert from 'node:assert/strict';
import fc from 'fast-check';
import { batches } from '../../../src/runtime/text/batches.js';

const rowsOf = (lengths: readonly number[]) => lengths.map(length => ({ ids: new Int32Array(length) }));

describe('batches', () => {
  it('holds rows of equal length, in the order of their first rows', () => {
    assert.deepEqual(batches(rowsOf([4, 2, 4, 4, 2]), 2).batches, [
      { rows: [0, 2], length: 4 },
      { rows: [1, 4], length: 2 },
      { rows: [3], length: 4 },
    ]);
  });

  it('loses no row and needs no padding', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 })), fc.integer({ min: 1, max: 5 }), (lengths, size) => {
        const made = batches(rowsOf(lengths), size).batches;
        for (const batch of made) {
          assert.ok(batch.rows.length >= 1 && batch.rows.length <= size);
          for (const row of batch.rows) assert.equal(lengths[row], batch.length);
        }
        assert.deepEqual(
          made.flatMap(({ rows }) => rows).sort((a, b) => a - b),
          lengths.map((_, i) => i),
        );
      }),
    );
  });

  it('is known by its hash', () => {
    const hash = (lengths: readonly number[], size: number) => batches(rowsOf(lengths), size).sha256;
    assert.equal(hash([4, 4, 2], 2), hash([4, 4, 2], 2));
    assert.notEqual(hash([4, 4, 2], 2), hash([4, 2, 4], 2));
    assert.notEqual(hash([4, 4], 2), hash([4, 4], 1));
  });
});
