import assert from 'node:assert/strict';
import { HISTOGRAM_ERROR, Histogram } from '../../src/observers/histogram.js';
import { weightObserver } from '../../src/observers/table.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { weightGrid } from '../../src/schemes/grids.js';
import { normal } from '../support/numbers.js';
import { weightOf } from '../support/weight.js';

const [ROWS, COLUMNS] = [14, 48];

function inHistogram(...numbers: number[]): Histogram {
  const histogram = new Histogram();
  histogram.add(Float32Array.from(numbers), 0, numbers.length);
  return histogram;
}

describe('histogram', () => {
  it('knows numbers of any magnitude and sign, within its error', () => {
    const ladder = Array.from({ length: 60 }, (_, i) => 1.37 ** (i - 30) * 10 ** (i % 2 === 0 ? -20 : 20));
    const sorted = [...ladder, 0, ...ladder.map(v => -v)].sort((a, b) => a - b);
    const histogram = inHistogram(...sorted);
    for (let outside = 0; outside < 61; outside++) {
      const { min, max } = histogram.central(100 - (200 * outside) / sorted.length - 1e-9);
      const [low, high] = [sorted[outside]!, sorted[sorted.length - 1 - outside]!];
      assert.ok(Math.abs(min - low) <= HISTOGRAM_ERROR * Math.abs(low) + 1e-38, `${min}, not ${low}`);
      assert.ok(Math.abs(max - high) <= HISTOGRAM_ERROR * Math.abs(high) + 1e-38, `${max}, not ${high}`);
    }
  });

  it('is exact where it leaves nothing out', () => {
    assert.deepEqual(inHistogram(1.2345, -7, 0.1).central(100), { min: -7, max: Math.fround(1.2345) });
    assert.deepEqual(inHistogram(3).central(1), { min: 3, max: 3 });
  });

  it('never goes beyond the numbers that it saw', () => {
    const { min, max } = inHistogram(...Array<number>(100).fill(1)).central(50);
    assert.deepEqual([min, max], [1, 1]);
  });

  it('gives NaN for what is not finite', () => {
    for (const flaw of [NaN, Infinity, -Infinity])
      assert.deepEqual(inHistogram(1, flaw, 2).central(10), { min: NaN, max: NaN });
  });

  it('forgets', () => {
    const histogram = inHistogram(-1e30, 1e30, NaN);
    histogram.clear();
    histogram.add(Float32Array.of(9, 1, 2, 9), 1, 3);
    assert.deepEqual(histogram.central(100), { min: 1, max: 2 });
  });
});

describe('percentile of weights', () => {
  const x = normal(ROWS * COLUMNS, 5);

  async function rangeOf(input: Partial<QuantizationArgs>, rowsAtOnce = 3) {
    const args = normalizeArgs({ num_bits: 4, observer: 'percentile', ...input }).args!;
    const grid = weightGrid(args, ROWS, COLUMNS);
    const range = await weightObserver('percentile')!.weightRange({
      weight: weightOf(x, ROWS, COLUMNS, rowsAtOnce),
      grid,
      args,
    });
    return { range, grid };
  }

  const strategies: Partial<QuantizationArgs>[] = [
    { strategy: 'tensor' },
    { strategy: 'channel' },
    { strategy: 'group', group_size: 16 },
    { strategy: 'block', block_structure: [4, 20] },
  ];
  for (const strategy of strategies) {
    it(`leaves out as many numbers below as above in each block, by ${strategy.strategy}`, async () => {
      const percentile = 70;
      const { range, grid } = await rangeOf({ ...strategy, observer_kwargs: { percentile } });
      const blocks = Array.from({ length: grid.gridRows * grid.gridColumns }, (): number[] => []);
      x.forEach((v, i) => {
        const [row, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
        const block = Math.floor(row / grid.blockRows) * grid.gridColumns + Math.floor(column / grid.blockColumns);
        blocks[block]!.push(v);
      });
      blocks.forEach((block, b) => {
        block.sort((p, q) => p - q);
        const outside = Math.floor(((100 - percentile) * block.length) / 200);
        const [low, high] = [block[outside]!, block[block.length - 1 - outside]!];
        assert.ok(Math.abs(range.min[b]! - low) <= HISTOGRAM_ERROR * Math.abs(low), `min of block ${b}`);
        assert.ok(Math.abs(range.max[b]! - high) <= HISTOGRAM_ERROR * Math.abs(high), `max of block ${b}`);
      });
    });

    it(`does not depend on how rows are read, by ${strategy.strategy}`, async () => {
      const [{ range: a }, { range: b }] = [await rangeOf(strategy, 1), await rangeOf(strategy, ROWS)];
      assert.deepEqual(a, b);
    });

    it(`100 is minmax, by ${strategy.strategy}`, async () => {
      const { range, grid } = await rangeOf({ ...strategy, observer_kwargs: { percentile: 100 } });
      assert.deepEqual(range, await weightOf(x, ROWS, COLUMNS).range(grid));
    });
  }
});
