import assert from 'node:assert/strict';
import { accumulateError, emptyError, finishError } from '../../src/numerics/error.js';
import { normal } from '../support/numbers.js';

describe('quantization error', () => {
  it('known answer', () => {
    const sums = emptyError(2);
    accumulateError(Float32Array.of(3, 4, 0, 0), Float32Array.of(3, 3.5, 0, 0.5), 0, 2, sums);
    const { relMSE, sqnr, squaredError, maxError } = finishError(sums);
    assert.equal(squaredError, 0.5);
    assert.equal(relMSE, 0.5 / 25);
    assert.equal(sqnr, -10 * Math.log10(0.02));
    assert.equal(maxError, 0.5);
  });

  it('is the same bit for bit in any chunks, in any order', () => {
    const [rows, columns] = [50, 33];
    const w = normal(rows * columns, 1);
    const wHat = w.map(v => Math.round(v * 10) / 10);
    const totals = [
      [[0, 50]],
      [
        [0, 7],
        [7, 8],
        [8, 50],
      ],
      [
        [20, 50],
        [3, 20],
        [0, 3],
      ],
    ].map(chunks => {
      const sums = emptyError(rows);
      for (const [from, to] of chunks as [number, number][]) {
        const [a, b] = [from * columns, to * columns];
        accumulateError(w.subarray(a, b), wHat.subarray(a, b), from, columns, sums);
      }
      return finishError(sums);
    });
    assert.deepEqual(totals[1], totals[0]);
    assert.deepEqual(totals[2], totals[0]);
    assert.ok(totals[0]!.relMSE > 0);
  });

  it('nothing changed, even if everything is zero', () => {
    const sums = emptyError(1);
    accumulateError(Float32Array.of(0, 0), Float32Array.of(0, 0), 0, 2, sums);
    assert.deepEqual(finishError(sums), { relMSE: 0, sqnr: null, squaredError: 0, maxError: 0 });
  });
});
