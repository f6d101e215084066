import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Range } from '../../src/numerics/grid.js';
import { MSE, MseSearch } from '../../src/numerics/mse.js';
import { makeGrid } from '../../src/numerics/grid.js';
import type { Gram } from '../../src/observers/gram.js';
import { HISTOGRAM_ERROR } from '../../src/observers/histogram.js';
import { valueObserver } from '../../src/observers/table.js';
import { normalizeArgs } from '../../src/schemes/args.js';
import { OBSERVERS } from '../../src/schemes/observer-names.js';
import { normal } from '../support/numbers.js';
import { cut, observeValue, valueSpec, type Batch } from '../support/observe.js';

const args = normalizeArgs({ num_bits: 8, symmetric: false }).args!;
const rows = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 });
const seed = fc.integer();

/** Smallest and largest number of each run of `size` columns. */
function extremes(x: Float32Array, columns: number, size: number): Range {
  const blocks = Array.from({ length: columns / size }, (_, b) =>
    x.filter((_, i) => Math.floor((i % columns) / size) === b),
  );
  return {
    min: Float32Array.from(blocks, block => Math.min(...block)),
    max: Float32Array.from(blocks, block => Math.max(...block)),
  };
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    assert.ok(error <= relative * Math.abs(expected[i]!), `${i}: ${actual[i]}, expected ${expected[i]}`);
  }
}

describe('observers of values', () => {
  it('are all that a scheme may name but the one that weighs weights, and those of algorithms', () => {
    const missing = Object.keys(OBSERVERS).filter(name => valueObserver(name) === undefined);
    assert.deepEqual(missing, ['imatrix_mse']);
    for (const name of ['energy', 'magnitude', 'covariance', 'hessian']) {
      assert.ok(valueObserver(name), name);
      assert.ok(!(name in OBSERVERS), name);
    }
    assert.equal(valueObserver('Static-MinMax'), valueObserver('static_minmax'));
    assert.equal(valueObserver('hessians'), undefined);
  });

  const all = [...Object.keys(OBSERVERS).filter(name => name !== 'imatrix_mse'), 'energy', 'magnitude', 'covariance'];
  for (const name of [...all, 'hessian']) {
    it(`${name} says that no token was seen`, async () => {
      const none = observeValue(name, [], valueSpec(4, { args }));
      await assert.rejects(none, { code: 'TENSOR', message: 'no tokens reached it' });
    });

    for (const flaw of [NaN, Infinity, -Infinity]) {
      it(`${name} says that a value holds ${flaw}, wherever it lies`, async () => {
        for (const at of [0, 5, 11]) {
          const x = normal(12, 1);
          x[at] = flaw;
          const found = observeValue(name, [{ x }], valueSpec(4, { args, size: 2 }));
          await assert.rejects(found, { code: 'TENSOR', message: 'it holds NaN or infinity' }, `at ${at}`);
        }
      });
    }
  }
});

describe('ranges of values', () => {
  it('static_minmax and percentile do not depend on how tokens are cut into batches', async () => {
    await fc.assert(
      fc.asyncProperty(rows, seed, async (rows, seed) => {
        const x = normal(20 * 6, seed);
        for (const name of ['static_minmax', 'percentile']) {
          const spec = valueSpec(6, { size: 3, options: { ...(name === 'percentile' && { percentile: 80 }) } });
          const [whole, inBatches] = [
            await observeValue(name, [{ x }], spec),
            await observeValue(name, cut(x, 6, ...rows), spec),
          ];
          assert.deepEqual(inBatches, whole);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('memoryless_minmax is the last batch, static_minmax all, minmax the average that forgets', async () => {
    const batches = [normal(24, 1), normal(24, 2, 5), normal(24, 3)].map(x => ({ x }));
    const spec = (size: number, options = {}) => valueSpec(6, { size, options });
    for (const size of [1, 3, 6]) {
      const each = batches.map(({ x }) => extremes(x, 6, size));
      const joined = extremes(Float32Array.from(batches.flatMap(({ x }) => [...x])), 6, size);
      assert.deepEqual(await observeValue('memoryless_minmax', batches, spec(size)), each[2]);
      assert.deepEqual(await observeValue('static_minmax', batches, spec(size)), joined);
      for (const [c, options] of [
        [0.01, {}],
        [0.25, { averaging_constant: 0.25 }],
      ] as const) {
        const { max } = await observeValue<Range>('minmax', batches, spec(size, options));
        const [a, b, d] = each.map(range => range.max);
        const average = a!.map((m, i) => (m * (1 - c) + b![i]! * c) * (1 - c) + d![i]! * c);
        assertClose(max, average, 1e-6);
      }
    }
  });

  it('memoryless_mse is the search on the last batch, mse the average of the searches', async () => {
    const batches = [normal(40, 1), normal(48, 2)].map(x => ({ x }));
    const searched = batches.map(({ x }) => {
      const grid = makeGrid(x.length / 8, 8, x.length / 8, 4);
      const search = new MseSearch(grid, extremes(x, 8, 4), args, 'F32', { ...MSE, maxshrink: 0.6 });
      search.update(x);
      return search.finish();
    });
    const spec = valueSpec(8, { size: 4, args, options: { maxshrink: 0.6, averaging_constant: 0.5 } });
    assert.deepEqual(await observeValue('memoryless_mse', batches, spec), searched[1]);
    const { min } = await observeValue<Range>('mse', batches, spec);
    const average = searched[0]!.min.map((m, i) => (m + searched[1]!.min[i]!) / 2);
    assertClose(min, average, 1e-6);
  });

  it('a search needs a scheme', async () => {
    const found = observeValue('mse', [{ x: normal(4, 1) }], valueSpec(4));
    await assert.rejects(found, { code: 'INTERNAL', message: 'a search for the best range without a scheme' });
  });

  it('percentile 100 is static_minmax', async () => {
    const x = normal(300 * 6, 4, 3);
    const found = await observeValue('percentile', [{ x }], valueSpec(6, { size: 2, options: { percentile: 100 } }));
    assert.deepEqual(found, extremes(x, 6, 2));
  });

  it('percentile leaves out as many numbers below as above, within its error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 1, max: 100, noNaN: true }), seed, async (percentile, seed) => {
        const x = normal(500, seed).map(v => v ** 3);
        const spec = valueSpec(5, { options: { percentile } });
        const { min, max } = await observeValue<Range>('percentile', [{ x }], spec);
        const sorted = x.slice().sort();
        const outside = Math.min(Math.floor(((100 - percentile) * x.length) / 200), x.length / 2 - 1);
        assertClose(min, [sorted[outside]!], HISTOGRAM_ERROR);
        assertClose(max, [sorted[x.length - 1 - outside]!], HISTOGRAM_ERROR);
      }),
    );
  });
});

describe('sums over tokens', () => {
  /** sum_t f(row t) in float64 */
  const sum = (x: Float32Array, columns: number, f: (row: Float32Array, i: number) => number, length: number) =>
    Float64Array.from({ length }, (_, i) => {
      let total = 0;
      for (let at = 0; at < x.length; at += columns) total += f(x.subarray(at, at + columns), i);
      return total;
    });

  it('energy and magnitude are means over all tokens, however these are cut', async () => {
    await fc.assert(
      fc.asyncProperty(rows, seed, async (rows, seed) => {
        const x = normal(30 * 5, seed);
        const batches = cut(x, 5, ...rows);
        const squares = sum(x, 5, (row, c) => row[c]! * row[c]!, 5);
        const magnitudes = sum(x, 5, (row, c) => Math.abs(row[c]!), 5);
        assertClose(
          await observeValue<Float64Array>('energy', batches, valueSpec(5)),
          squares.map(v => v / 30),
          1e-12,
        );
        const mean = await observeValue<Float64Array>('magnitude', batches, valueSpec(5));
        assertClose(
          mean,
          magnitudes.map(v => v / 30),
          1e-12,
        );
      }),
      { numRuns: 40 },
    );
  });

  const upper = ({ n, values }: Gram) => values.filter((_, at) => Math.floor(at / n) <= at % n);
  const sized = (batches: readonly Batch[]): Batch[] => batches.map((batch, i) => ({ ...batch, sequences: i + 1 }));

  // 256 columns make a stripe
  for (const n of [1, 5, 256, 257, 530]) {
    it(`hessian of ${n} columns is the sum of x xᵀ over all tokens, the covariance its mean`, async () => {
      const tokens = n > 100 ? 7 : 40;
      const x = normal(tokens * n, n);
      const batches = sized(cut(x, n, 3, 1));
      const expected = sum(x, n, (row, at) => row[Math.floor(at / n)]! * row[at % n]!, n * n);
      const largest = expected.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      for (const [name, divisor] of [
        ['hessian', 1],
        ['covariance', tokens],
      ] as const) {
        const found = await observeValue<Gram>(name, batches, valueSpec(n));
        assert.deepEqual([found.n, found.tokens, found.sequences], [n, tokens, 6]);
        const right = upper({ ...found, values: expected.map(v => v / divisor) });
        upper(found).forEach((v, i) => assert.ok(Math.abs(v - right[i]!) <= (1e-12 * largest) / divisor, `${i}`));
      }
    });
  }

  it('hessian is positive semidefinite', async () => {
    await fc.assert(
      fc.asyncProperty(rows, seed, fc.integer({ min: 1, max: 12 }), async (rows, seed, tokens) => {
        const n = 6;
        const { values } = await observeValue<Gram>('hessian', cut(normal(tokens * n, seed), n, ...rows), valueSpec(n));
        const H = (i: number, j: number) => values[Math.min(i, j) * n + Math.max(i, j)]!;
        for (let trial = 0; trial < 20; trial++) {
          const v = normal(n, seed + trial + 1);
          let form = 0;
          for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) form += v[i]! * H(i, j) * v[j]!;
          assert.ok(form >= -1e-9, `vᵀ H v = ${form}`);
        }
      }),
      { numRuns: 40 },
    );
  });
});
