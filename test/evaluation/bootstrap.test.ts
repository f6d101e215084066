import assert from 'node:assert/strict';
import { bootstrap, comparisonIntervals, perplexityInterval } from '../../src/evaluation/bootstrap.js';
import { comparisonOf, scoresFor } from '../../src/evaluation/scores.js';
import { normal, seeded } from '../support/numbers.js';

const SIMULATIONS = 2000;

/** Share of simulations whose interval holds the truth. */
function coverage(windows: number, draw: (next: () => number) => number, truth: number): number {
  const next = seeded(windows);
  let covered = 0;
  for (let seed = 0; seed < SIMULATIONS; seed++) {
    const sums = Array.from({ length: windows }, () => Float64Array.of(draw(next)));
    const { mean } = bootstrap(sums, ([total]) => ({ mean: total! / windows }), { seed })!;
    if (mean.low <= truth && truth <= mean.high) covered++;
  }
  return covered / SIMULATIONS;
}

const gauss = (next: () => number) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
/** A window's mean of skewed values, like divergences: the mean of 16 exponentials, 1. */
const skewed = (next: () => number) => {
  let sum = 0;
  for (let i = 0; i < 16; i++) sum -= Math.log(1 - next());
  return sum / 16;
};

describe('bootstrap', function () {
  this.timeout(60_000);

  for (const [what, draw, truth] of [
    ['normal', gauss, 0],
    ['skewed', skewed, 1],
  ] as const) {
    for (const windows of [16, 32]) {
      it(`covers the mean of ${windows} ${what} windows in 93 to 97 of 100 simulations`, () => {
        const share = coverage(windows, draw, truth);
        assert.ok(share >= 0.93 && share <= 0.97, String(share));
      });
    }
  }

  it('covers hardly less with 8 windows', () => {
    const share = coverage(8, gauss, 0);
    assert.ok(share >= 0.91 && share <= 0.97, String(share));
  });

  it('gives the same interval for the same seed, and another for another', () => {
    const sums = Array.from(normal(12, 1), x => Float64Array.of(x));
    const mean = (seed: number) => bootstrap(sums, ([total]) => ({ mean: total! / 12 }), { seed });
    assert.deepEqual(mean(5), mean(5));
    assert.notDeepEqual(mean(5), mean(6));
  });

  it('is wider at a higher level', () => {
    const sums = Array.from(normal(12, 1), x => Float64Array.of(x));
    const [narrow, wide] = [0.8, 0.99].map(level => bootstrap(sums, ([x]) => ({ x: x! }), { level })!.x);
    assert.ok(wide!.low < narrow!.low && wide!.high > narrow!.high);
  });

  it('says nothing of a single window', () => {
    assert.equal(perplexityInterval(Float64Array.of(1, 2), [2]), null);
    assert.equal(comparisonIntervals(scoresFor(2, { logits: true }), [2]), null);
  });

  it('holds the figure itself, whatever the lengths of windows', () => {
    const nlls = Float64Array.from(normal(100, 2), x => 3 + x);
    const { low, high } = perplexityInterval(nlls, [30, 30, 30, 10])!;
    const perplexity = Math.exp(nlls.reduce((sum, x) => sum + x, 0) / 100);
    assert.ok(low < perplexity && perplexity < high);
  });

  it('resamples both models alike: a difference has its own, narrow interval', () => {
    const scores = scoresFor(200, { logits: false });
    const [level, noise] = [normal(20, 3), normal(200, 4, 0.01)];
    for (let i = 0; i < 200; i++) {
      scores.baseNll[i] = 3 + level[Math.floor(i / 10)]!;
      scores.modelNll[i] = scores.baseNll[i]! + 0.1 + noise[i]!;
      scores.kl[i] = 0.1 + Math.abs(noise[i]!);
      scores.sameTop[i] = i % 4 === 0 ? 0 : 1;
      scores.deltaP[i] = noise[i]!;
    }
    const intervals = comparisonIntervals(scores, Array<number>(20).fill(10))!;
    const width = (name: keyof typeof intervals) => intervals[name].high - intervals[name].low;
    assert.ok(width('ln_ratio') < 0.01 && width('perplexity') > 5, JSON.stringify(intervals));
    const figures = comparisonOf(scores);
    for (const [name, value] of [
      ['perplexity', figures.perplexity],
      ['base_perplexity', figures.base_perplexity],
      ['perplexity_difference', figures.perplexity - figures.base_perplexity],
      ['ln_ratio', figures.ln_ratio],
      ['kl_mean', figures.kl.mean],
      ['same_top1', figures.same_top1],
      ['rms_delta_p', figures.rms_delta_p],
    ] as const) {
      assert.ok(intervals[name].low <= value && value <= intervals[name].high, `${name} ${value}`);
    }
  });
});
