import { random } from '../numerics/random.js';
import type { Scores } from './scores.js';
import { normalTail, quantile, studentQuantile } from './statistics.js';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Default: 1000. */
  readonly resamples?: number;
  /** Share of the intervals that are to hold the true value. Default: 0.95. */
  readonly level?: number;
  readonly seed?: number;
}

/**
 * Confidence intervals of figures that follow from totals over windows: windows are drawn with replacement, as many as there are, and all
 * figures are computed from the same draw, so that a difference of two models is that on the same text.
 *
 * These are percentile intervals at the levels that Hesterberg (2015) gives to few samples: plain ones are too narrow by the ratios of
 * sqrt(n - 1) to sqrt(n) and of the normal to Student's quantile. Of few windows they still promise a little too much: at 95 %, intervals
 * hold the mean of 12, 8, 6 and 4 normal windows in 94.4, 94.0, 92.8 and 86.9 % of 3000 simulations.
 * @param windows sums of each window, all of the same kinds
 * @param figures from the totals of each kind
 * @returns null for fewer than two windows, which tell nothing of how windows differ
 */
export function bootstrap<Name extends string>(
  windows: readonly Float64Array[],
  figures: (totals: Float64Array) => Readonly<Record<Name, number>>,
  { resamples = 1000, level = 0.95, seed = 0 }: BootstrapOptions = {},
): Readonly<Record<Name, Interval>> | null {
  const n = windows.length;
  if (n < 2) return null;
  const draw = random(seed, 'bootstrap');
  const totals = new Float64Array(windows[0]!.length);
  const drawn = new Map<Name, Float64Array>();
  for (let resample = 0; resample < resamples; resample++) {
    totals.fill(0);
    for (let i = 0; i < n; i++) {
      const window = windows[Math.floor(draw.float64() * n)]!;
      for (let k = 0; k < totals.length; k++) totals[k]! += window[k]!;
    }
    for (const [name, value] of Object.entries(figures(totals)) as [Name, number][]) {
      if (!drawn.has(name)) drawn.set(name, new Float64Array(resamples));
      drawn.get(name)![resample] = value;
    }
  }
  const tail = normalTail(studentQuantile(level, n - 1) * Math.sqrt(n / (n - 1)));
  const intervals = [...drawn].map(([name, values]) => {
    values.sort();
    return [name, { low: quantile(values, tail), high: quantile(values, 1 - tail) }];
  });
  return Object.fromEntries(intervals) as Record<Name, Interval>;
}

/** Interval of the perplexity of consecutive windows, given the scored tokens of each. */
export function perplexityInterval(
  nlls: Float64Array,
  lengths: readonly number[],
  options?: BootstrapOptions,
): Interval | null {
  const windows = windowSums(lengths, [nlls]);
  return bootstrap(windows, ([n, nll]) => ({ perplexity: Math.exp(nll! / n!) }), options)?.perplexity ?? null;
}

type Six = [number, number, number, number, number, number];

/** Figures of a comparison that have intervals. */
export type ComparedName =
  'perplexity' | 'base_perplexity' | 'perplexity_difference' | 'ln_ratio' | 'kl_mean' | 'same_top1' | 'rms_delta_p';

/** Intervals of a comparison over consecutive windows, given the scored tokens of each; null for fewer than two windows. */
export function comparisonIntervals(
  { baseNll, modelNll, kl, sameTop, deltaP }: Scores,
  lengths: readonly number[],
  options?: BootstrapOptions,
): Readonly<Record<ComparedName, Interval>> | null {
  const windows = windowSums(lengths, [baseNll, modelNll, kl, sameTop, deltaP.map(d => d * d)]);
  return bootstrap<ComparedName>(
    windows,
    totals => {
      const [n, base, model, divergence, same, squares] = [...totals] as Six;
      const [perplexity, base_perplexity] = [Math.exp(model / n), Math.exp(base / n)];
      return {
        perplexity,
        base_perplexity,
        perplexity_difference: perplexity - base_perplexity,
        ln_ratio: (model - base) / n,
        kl_mean: divergence / n,
        same_top1: same / n,
        rms_delta_p: Math.sqrt(squares / n),
      };
    },
    options,
  );
}

/** For each window its number of tokens, then the sum of each column over them. */
function windowSums(lengths: readonly number[], columns: readonly Float64Array[]): Float64Array[] {
  let from = 0;
  return lengths.map(length => {
    const sums = columns.map(column => column.subarray(from, from + length).reduce((sum, x) => sum + x, 0));
    from += length;
    return Float64Array.of(length, ...sums);
  });
}
