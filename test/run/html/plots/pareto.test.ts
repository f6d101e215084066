import assert from 'node:assert/strict';
import type { ComparedRun } from '../../../../src/run/compare.js';
import { paretoPlot } from '../../../../src/run/html/plots/pareto.js';
import { circles, texts } from '../../../support/drawing.js';

const run = (name: string, size: number, kl: number, front: boolean): ComparedRun => ({
  name,
  size,
  kl,
  kl_interval: { low: 0.9 * kl, high: 1.1 * kl },
  on_front: front,
  ...{ folder: name, title: name, base: 'm', text: 't', rows_sha256: '', verdict: '', recipe: '' },
  ...{ bits_per_weight: 4, perplexity: 9, base_perplexity: 8, same_top1: 1, accuracy: null, seconds: 1 },
});

describe('the plot of size against loss', () => {
  const RUNS = [run('w4', 400e6, 0.03, true), run('w8', 700e6, 0.0004, true), run('fp8', 700e6, 0.01, false)];

  it('has each run where its size and its loss are, the front by name and in the colour to look at', async () => {
    const { text } = await paretoPlot(RUNS);
    const [front, others] = ['look', 'data'].map(ink => circles(text).filter(({ fill }) => fill === `var(--${ink})`));
    assert.deepEqual([front!.length, others!.length], [2, 1]);
    const [w4, w8] = front!.toSorted((a, b) => a.x - b.x);
    const [fp8] = others!;
    assert.ok(Math.abs(w8!.x - fp8!.x) < 0.01 && w4!.x < w8!.x);
    assert.ok(w4!.y < fp8!.y && fp8!.y < w8!.y, 'less loss is lower');
    for (const name of ['w4', 'w8', '400 MB', '1e-4', '0.1']) assert.ok(texts(text).includes(name), name);
    assert.match(text, /aria-label="KL to the original against size of 3 runs; on the front: w4, w8"/);
  });

  it('counts from zero where losses are near each other, or one is zero', async () => {
    const near = await paretoPlot([run('a', 4e8, 0.03, true), run('b', 5e8, 0.02, true)]);
    assert.ok(texts(near.text).includes('0') && !texts(near.text).includes('0.1'));
    const equal = await paretoPlot([run('a', 4e8, 0, true), run('b', 5e8, 0, false)]);
    assert.deepEqual(
      circles(equal.text).map(({ y }) => y),
      [250, 250],
    );
    assert.doesNotMatch(equal.text, /NaN/);
  });

  it('draws runs of one size, and no interval where there is none', async () => {
    const { text } = await paretoPlot([
      { ...run('a', 4e8, 0.03, true), kl_interval: null },
      { ...run('b', 4e8, 0.05, false), kl_interval: null },
    ]);
    assert.equal(circles(text).length, 2);
    assert.doesNotMatch(text, /NaN|Infinity/);
  });
});
