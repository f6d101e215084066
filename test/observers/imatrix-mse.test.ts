import assert from 'node:assert/strict';
import type { WeightObservation } from '../../src/observers/observer.js';
import { weightObserver } from '../../src/observers/table.js';
import { IMATRIX_MSE, MseSearch } from '../../src/numerics/mse.js';
import type { Range } from '../../src/numerics/grid.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { weightGrid } from '../../src/schemes/grids.js';
import { goldenJson } from '../support/golden.js';
import { assertNumbers, flat, normal, type Nested } from '../support/numbers.js';
import { observeValue, valueSpec } from '../support/observe.js';
import { weightOf } from '../support/weight.js';

interface Golden {
  weight: number[][];
  /** [sequences, tokens, columns] */
  x: Nested;
  imatrix_sum: number[];
  count: number;
  min_vals: Nested;
  max_vals: Nested;
}

const [ROWS, COLUMNS] = [6, 64];

async function observe(
  input: Partial<QuantizationArgs>,
  importance?: Float64Array,
): Promise<{ range: Range; remarks: string[] }> {
  const args = normalizeArgs({ num_bits: 4, observer: 'imatrix_mse', ...input }).args!;
  const remarks: string[] = [];
  const observation: WeightObservation = {
    weight: weightOf(normal(ROWS * COLUMNS, 3), ROWS, COLUMNS),
    grid: weightGrid(args, ROWS, COLUMNS),
    args,
    remark: message => remarks.push(message),
    ...(importance && { importance }),
  };
  return { range: await weightObserver('imatrix_mse')!.weightRange(observation), remarks };
}

const GROUPS = { strategy: 'group', group_size: 32 } as const;

describe('imatrix_mse', () => {
  const golden = goldenJson<{ imatrix?: Golden }>('compressed-tensors/golden.json')?.imatrix;
  it('golden imatrix: importance of the inputs, and the ranges that follow', async function () {
    if (golden === undefined) return this.skip();
    const { weight, x, count, imatrix_sum } = golden;
    const columns = weight[0]!.length;
    const E = await observeValue<Float64Array>('energy', [{ x: Float32Array.from(flat(x)) }], valueSpec(columns));
    imatrix_sum.forEach((sum, c) => assert.ok(Math.abs(E[c]! * count - sum) <= 1e-6 * sum, `column ${c}`));
    const groups = (golden.min_vals as Nested[][])[0]!.length;
    const args = normalizeArgs({ num_bits: 4, strategy: 'group', group_size: columns / groups }).args!;
    const { min, max } = await weightObserver('imatrix_mse')!.weightRange({
      weight: weightOf(Float32Array.from(flat(weight)), weight.length, columns),
      grid: weightGrid(args, weight.length, columns),
      args,
      importance: E,
    });
    assertNumbers(min, flat(golden.min_vals), 'min');
    assertNumbers(max, flat(golden.max_vals), 'max');
  });

  it('wants calibration data', () => {
    assert.equal(weightObserver('imatrix_mse')!.weighs, true);
    assert.equal(weightObserver('mse')!.weighs, undefined);
  });

  it('only the ratios of importance count', async () => {
    const E = Float64Array.from({ length: COLUMNS }, (_, c) => (c % 7 === 0 ? 50 : 0.1));
    const { range, remarks } = await observe(GROUPS, E);
    assert.deepEqual(
      range,
      (
        await observe(
          GROUPS,
          E.map(e => 1024 * e),
        )
      ).range,
    );
    assert.notDeepEqual(range, (await observe(GROUPS, new Float64Array(COLUMNS).fill(2))).range);
    assert.deepEqual(remarks, []);
  });

  it('a column that is never used does not count', async () => {
    const E = Float64Array.from({ length: COLUMNS }, (_, c) => (c % 2 === 0 ? 0 : 1));
    const { range } = await observe({ strategy: 'channel' }, E);
    const odd = normal(ROWS * COLUMNS, 3).map((w, i) => (i % 2 === 0 ? 0 : w)); // zeros have no error
    const args = normalizeArgs({ num_bits: 4, strategy: 'channel' }).args!;
    const grid = weightGrid(args, ROWS, COLUMNS);
    const extremes = await weightOf(normal(ROWS * COLUMNS, 3), ROWS, COLUMNS).range(grid);
    const search = new MseSearch(grid, extremes, args, 'F32', IMATRIX_MSE);
    search.update(odd);
    assert.deepEqual(range, search.finish());
  });

  const ones = new Float64Array(COLUMNS).fill(1);
  const cases: [string, Partial<QuantizationArgs>, Float64Array | undefined, RegExp][] = [
    ['without calibration data', GROUPS, undefined, /there is no calibration data$/],
    ['with infinite energy', GROUPS, ones.with(3, Infinity), /the energy of its input is not finite$/],
    ['with energy that is no number', GROUPS, ones.with(3, NaN), /the energy of its input is not finite$/],
    ['with negative energy', GROUPS, ones.with(3, -1), /the energy of its input is negative$/],
    ['with no energy at all', GROUPS, new Float64Array(COLUMNS), /its input is zero everywhere$/],
    ['by tensor', { strategy: 'tensor' }, ones.with(3, 9), /strategy tensor has no scale of a row$/],
    [
      'by block',
      { strategy: 'block', block_structure: [3, 16] },
      ones.with(3, 9),
      /strategy block has no scale of a row$/,
    ],
  ];
  for (const [title, args, importance, why] of cases) {
    it(`${title}: all columns count the same, and the report says so`, async () => {
      const { range, remarks } = await observe(args, importance);
      assert.deepEqual(remarks.length, 1);
      assert.match(remarks[0]!, why);
      const parsed = normalizeArgs({ num_bits: 4, ...args }).args!;
      const grid = weightGrid(parsed, ROWS, COLUMNS);
      const weight = weightOf(normal(ROWS * COLUMNS, 3), ROWS, COLUMNS);
      const search = new MseSearch(grid, await weight.range(grid), parsed, 'F32', IMATRIX_MSE);
      for await (const { x } of weight.chunks()) search.update(x);
      assert.deepEqual(range, search.finish());
    });

    it(`${title}: an error where strict is true`, async () => {
      await assert.rejects(observe({ ...args, observer_kwargs: { strict: true } }, importance), {
        code: 'TENSOR',
        message: why,
      });
    });
  }
});
