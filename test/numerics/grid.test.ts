import assert from 'node:assert/strict';
import fc from 'fast-check';
import { absmax, accumulateRange, emptyRange, makeGrid, type Grid, type Range } from '../../src/numerics/grid.js';
import { normal } from '../support/numbers.js';

/** Minimum and maximum of every block, element by element. */
function bruteForce(x: Float32Array, grid: Grid): Range {
  const range = emptyRange(grid);
  x.forEach((v, i) => {
    const [row, column] = [Math.floor(i / grid.columns), i % grid.columns];
    const block = Math.floor(row / grid.blockRows) * grid.gridColumns + Math.floor(column / grid.blockColumns);
    range.min[block] = Math.min(range.min[block]!, v);
    range.max[block] = Math.max(range.max[block]!, v);
  });
  return range;
}

describe('grid and range', () => {
  it('blocks stick out at the bottom and right', () => {
    const grid = makeGrid(5, 7, 2, 3);
    assert.deepEqual([grid.gridRows, grid.gridColumns], [3, 3]);
  });

  it('ranges do not depend on where chunks end or on their order', () => {
    const size = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.array(size, { maxLength: 4 }),
        fc.boolean(),
        (rows, columns, bh, bw, cuts, reversed) => {
          const grid = makeGrid(rows, columns, bh, bw);
          const x = normal(rows * columns, rows * 10 + columns);
          const edges = [...new Set([0, ...cuts.map(cut => cut % rows), rows])].sort((a, b) => a - b);
          const chunks = edges.slice(1).map((to, i) => [edges[i]!, to] as const);
          const range = emptyRange(grid);
          for (const [from, to] of reversed ? chunks.reverse() : chunks) {
            accumulateRange(x.subarray(from * columns, to * columns), from, grid, range);
          }
          assert.deepEqual(range, bruteForce(x, grid));
        },
      ),
    );
  });

  it('absmax is the largest magnitude at either end, 0 before anything was seen', () => {
    const grid = makeGrid(1, 4, 1, 2);
    const range = emptyRange(grid);
    assert.equal(absmax(range), 0);
    accumulateRange(Float32Array.of(-3, 1, 2, 2.5), 0, grid, range);
    assert.equal(absmax(range), 3);
  });
});
