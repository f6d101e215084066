import assert from 'node:assert/strict';
import { weightObserver } from '../../src/observers/table.js';
import { accumulateRange, emptyRange, type Range } from '../../src/numerics/grid.js';
import { NVFP4_EXPANDED_MSE, MSE, MseSearch } from '../../src/numerics/mse.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { weightGrid } from '../../src/schemes/grids.js';
import { OBSERVERS } from '../../src/schemes/observer-names.js';
import { normal } from '../support/numbers.js';
import { weightOf } from '../support/weight.js';

const ROWS = 6;
const COLUMNS = 64;

async function observe(args: QuantizationArgs) {
  const x = normal(ROWS * COLUMNS, 3);
  const weight = weightOf(x, ROWS, COLUMNS);
  const grid = weightGrid(args, ROWS, COLUMNS);
  const range = await weightObserver(args.observer!)!.weightRange({ weight, grid, args });
  return { range, x, grid, reads: weight.reads };
}

function searched(args: QuantizationArgs, options: ConstructorParameters<typeof MseSearch>[4]): Promise<Range> {
  const x = normal(ROWS * COLUMNS, 3);
  const grid = weightGrid(args, ROWS, COLUMNS);
  const range = emptyRange(grid);
  accumulateRange(x, 0, grid, range);
  const search = new MseSearch(grid, range, args, 'F32', options);
  search.update(x);
  return Promise.resolve(search.finish());
}

const argsOf = (observer: string, more: Partial<QuantizationArgs> = {}) =>
  normalizeArgs({ num_bits: 4, group_size: 32, observer, ...more }).args!;

describe('weight observers', () => {
  for (const name of ['minmax', 'static_minmax', 'memoryless_minmax']) {
    it(`${name} is the smallest and largest value of each block, in one pass`, async () => {
      const { range, x, grid, reads } = await observe(argsOf(name));
      assert.equal(range.min.length, grid.gridRows * grid.gridColumns);
      const block = x.subarray(COLUMNS + 32, 2 * COLUMNS); // second group of the second row
      assert.deepEqual([range.min[3], range.max[3]], [Math.min(...block), Math.max(...block)]);
      assert.equal(reads, 1);
    });
  }

  for (const name of ['mse', 'memoryless_mse']) {
    it(`${name} searches with the options of the reference, in two passes`, async () => {
      const { range, reads } = await observe(argsOf(name));
      assert.deepEqual(range, await searched(argsOf(name), MSE));
      assert.equal(reads, 2);
    });
  }

  it('take their options from observer_kwargs, on top of their defaults', async () => {
    const args = argsOf('mse', { observer_kwargs: { maxshrink: 0.03, norm: 2 } });
    const { range } = await observe(args);
    assert.deepEqual(range, await searched(args, { ...MSE, maxshrink: 0.03, norm: 2 }));
    assert.notDeepEqual(range, await searched(args, MSE));
  });

  it('nvfp4_expanded_mse starts beyond the range that it sees', async () => {
    const args = argsOf('nvfp4_expanded_mse', { type: 'float', strategy: 'tensor_group', group_size: 16 });
    const { range } = await observe(args);
    assert.deepEqual(range, await searched(args, NVFP4_EXPANDED_MSE));
  });

  it('are all the ones that a scheme may name', () => {
    const missing = Object.keys(OBSERVERS).filter(name => weightObserver(name) === undefined);
    assert.deepEqual(missing, []);
    assert.equal(weightObserver('minmaxx'), undefined);
    assert.equal(weightObserver('Memoryless-MinMax'), weightObserver('memoryless_minmax'));
  });
});
