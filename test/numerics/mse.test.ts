import assert from 'node:assert/strict';
import fc from 'fast-check';
import { roundArray, type ModelDType } from '../../src/numerics/dtypes.js';
import { accumulateRange, emptyRange, makeGrid, type Grid, type Range } from '../../src/numerics/grid.js';
import { MSE, MseSearch, NVFP4_EXPANDED_MSE, type SearchArgs, type SearchOptions } from '../../src/numerics/mse.js';
import { powerTables, raise } from '../../src/numerics/power.js';
import { qparams } from '../../src/numerics/qparams.js';
import { dequantize, quantize } from '../../src/numerics/quantize.js';
import { normalizeArgs } from '../../src/schemes/args.js';
import { weightGrid } from '../../src/schemes/grids.js';
import { preset } from '../../src/schemes/presets.js';
import { goldenJson } from '../support/golden.js';
import { assertNumbers, flat, normal, type Nested } from '../support/numbers.js';

interface Case {
  observer: string;
  kwargs: Partial<SearchOptions>;
  strategy: string;
  group_size: number | null;
  symmetric: boolean;
  num_bits?: number;
  dtype?: string;
  weight?: readonly (readonly number[])[];
  min_vals: Nested;
  max_vals: Nested;
  scale: Nested;
  zero_point: Nested;
}

const DEFAULTS: Readonly<Record<string, SearchOptions>> = {
  mse: MSE,
  memoryless_mse: MSE,
  nvfp4_expanded_mse: NVFP4_EXPANDED_MSE,
};

function rangeOf(x: Float32Array, grid: Grid): Range {
  const range = emptyRange(grid);
  accumulateRange(x, 0, grid, range);
  return range;
}

function search(
  x: Float32Array,
  grid: Grid,
  args: SearchArgs,
  dtype: ModelDType,
  options: Partial<SearchOptions>,
  rowsAtOnce = grid.rows,
): Range {
  const search = new MseSearch(grid, rangeOf(x, grid), args, dtype, options);
  for (let at = 0; at < x.length; at += rowsAtOnce * grid.columns)
    search.update(x.subarray(at, at + rowsAtOnce * grid.columns));
  return search.finish();
}

/** The search as it is defined: the whole tensor at every step. */
function byDefinition(x: Float32Array, grid: Grid, args: SearchArgs, options: SearchOptions): Range {
  const { min, max } = rangeOf(x, grid);
  const best = { min: min.slice(), max: max.slice(), error: new Float64Array(min.length).fill(Infinity) };
  const tables = powerTables(options.norm);
  let idle = 0;
  const steps = Math.floor(options.maxshrink * options.grid) + (options.inclusive ? 1 : 0);
  for (let i = 0; i < steps && idle < options.patience; i++) {
    const p = Math.fround(1 - i / options.grid);
    const e = Math.fround(options.expand);
    const candidate = { min: min.map(v => p * Math.fround(e * v)), max: max.map(v => p * Math.fround(e * v)) };
    const q = qparams(candidate, args, 'F32');
    const wHat = dequantize(quantize(x, 0, grid, q, args, 'F32'), 0, grid, q, args);
    const error = new Float64Array(min.length);
    for (let row = 0; row < grid.rows; row++) {
      const ofRow = new Float64Array(grid.gridColumns); // a row's errors are added up first, then the rows'
      for (let c = 0, at = row * grid.columns; c < grid.columns; c++, at++) {
        const weight = options.importance?.[c] ?? 1;
        ofRow[Math.floor(c / grid.blockColumns)]! += weight * raise(Math.abs(wHat[at]! - x[at]!), tables);
      }
      ofRow.forEach((e, b) => (error[Math.floor(row / grid.blockRows) * grid.gridColumns + b]! += e));
    }
    idle++;
    error.forEach((value, block) => {
      if (value >= best.error[block]!) return;
      idle = 0;
      best.error[block] = value;
      best.min[block] = candidate.min[block]!;
      best.max[block] = candidate.max[block]!;
    });
  }
  return { min: best.min, max: best.max };
}

describe('mse search', () => {
  const cases = goldenJson<{ observers?: Case[] }>('compressed-tensors/golden.json')?.observers?.filter(
    c => c.weight !== undefined && c.observer in DEFAULTS,
  );
  if (!cases?.length)
    it('golden observers of the mse family on weights', function () {
      this.skip();
    });
  cases?.forEach((c, i) => {
    it(`golden observers ${i}: ${c.observer} ${c.strategy} ${c.symmetric ? 'symmetric' : 'asymmetric'} ${JSON.stringify(c.kwargs)}`, function () {
      if ((c.dtype ?? 'torch.float32') !== 'torch.float32') return this.skip(); // 16-bit sums are rounded there, not here
      const { strategy, group_size, symmetric, num_bits = 4 } = c;
      const args = normalizeArgs({ strategy, group_size, symmetric, num_bits }).args!;
      const x = Float32Array.from(flat(c.weight!));
      const grid = weightGrid(args, c.weight!.length, c.weight![0]!.length);
      const range = search(x, grid, args, 'F32', { ...DEFAULTS[c.observer], ...c.kwargs });
      assertNumbers(range.min, flat(c.min_vals), 'min');
      assertNumbers(range.max, flat(c.max_vals), 'max');
      const q = qparams(range, args, 'F32');
      assertNumbers(q.scale, flat(c.scale), 'scale');
      assertNumbers(q.zeroPoint ?? new Int8Array(q.scale.length), flat(c.zero_point), 'zero point');
    });
  });

  it('one pass in chunks equals the definition step by step, patience included', () => {
    const size = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 3 }),
        fc.integer(),
        (rows, columns, bh, bw, chunk, symmetric, weighs, patience, seed) => {
          const grid = makeGrid(rows, columns, bh, bw);
          const args = normalizeArgs({ num_bits: 3, symmetric }).args!;
          const importance = weighs ? normal(columns, seed + 1).map(Math.abs) : null;
          const options = { ...MSE, patience, maxshrink: 0.5, grid: 40, inclusive: weighs, importance };
          const x = normal(rows * columns, seed);
          const expected = byDefinition(x, grid, args, options);
          assert.deepEqual(search(x, grid, args, 'F32', options, chunk), expected);
        },
      ),
    );
  });

  it('tries the step at maxshrink only where it is inclusive', () => {
    const args = normalizeArgs({ num_bits: 2, strategy: 'tensor' }).args!;
    const x = Float32Array.of(...Array<number>(60).fill(1), ...Array<number>(60).fill(-1), 3); // half the range is best
    const grid = makeGrid(1, x.length, 1, x.length);
    const options = { ...MSE, maxshrink: 0.5, grid: 4, norm: 2 };
    const shrinks = [false, true].map(inclusive => search(x, grid, args, 'F32', { ...options, inclusive }).max[0]! / 3);
    assert.deepEqual(shrinks, [0.75, 0.5]);
  });

  it('never makes the error larger than min and max do', () => {
    const x = roundArray(normal(64 * 128, 2), 'BF16');
    for (const name of ['W4A16', 'W4A16_ASYM', 'FP8_BLOCK', 'MXFP4']) {
      const args = preset(name, [])!.weights!;
      const grid = weightGrid(args, 64, 128);
      const cost = (range: Range): number => {
        const q = qparams(range, args, 'BF16');
        const wHat = dequantize(quantize(x, 0, grid, q, args, 'BF16'), 0, grid, q, args);
        return x.reduce((sum, v, i) => sum + Math.abs(v - wHat[i]!) ** MSE.norm, 0);
      };
      assert.ok(cost(search(x, grid, args, 'BF16', {})) <= cost(rangeOf(x, grid)), name);
    }
  });

  it('NVFP4 expands the range and is not bound to e4m3 steps while it searches', () => {
    const args = preset('NVFP4A16', [])!.weights!;
    const grid = weightGrid(args, 4, 64);
    const x = normal(256, 9, 1e-4); // unrounded scales near 2^-13 would all be the smallest e4m3 numbers
    const observed = rangeOf(x, grid);
    const range = search(x, grid, args, 'F32', NVFP4_EXPANDED_MSE);
    const ratios = [...range.max].map((v, i) => v / observed.max[i]!);
    assert.ok(ratios.every(r => r > 0.8 && r <= 1.8001));
    assert.ok(new Set(ratios.map(r => r.toFixed(3))).size > 4);
  });
});
