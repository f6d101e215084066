export interface Mean {
  readonly mean: number;
  /** Standard error of the mean, for independent values; 0 for a single one. */
  readonly error: number;
}

/** Mean of n values, at least one, and its error: sqrt(variance / (n - 1)), the variance being the mean square of the deviations. */
export function meanOf(values: ArrayLike<number>): Mean {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2;
  return { mean, error: n > 1 ? Math.sqrt(squares / n / (n - 1)) : 0 };
}

/** Of a share of n independent trials, the 95 % interval of Wilson (1927); it stays within 0 and 1, and is honest where all trials agree. */
export function shareInterval(share: number, n: number): { readonly low: number; readonly high: number } {
  const z2 = 1.959963984540054 ** 2;
  const middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = Math.sqrt(z2 * ((share * (1 - share)) / n + z2 / (4 * n * n))) / (1 + z2 / n);
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** The value at p (n - 1) of n sorted values, linear between neighbours; p in [0, 1]. */
export function quantile(sorted: ArrayLike<number>, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const value = sorted[below]!;
  return at === below ? value : value + (at - below) * (sorted[below + 1]! - value);
}

/** t of Student's distribution with whole degrees of freedom for which P(|T| < t) = level; level in (0, 1). */
export function studentQuantile(level: number, freedom: number): number {
  let [low, high] = [0, Math.PI / 2];
  for (let halvings = 0; halvings < 53; halvings++) {
    const middle = (low + high) / 2;
    if (withinAngle(middle, freedom) < level) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan(low);
}

/** P(|T| < sqrt(freedom) tan(angle)): the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4. */
function withinAngle(angle: number, freedom: number): number {
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2;
  let term = odd ? sin * cos : sin;
  let sum = 0;
  for (let n = odd; n <= freedom - 2; n += 2) {
    sum += term;
    term *= ((n + 1) / (n + 2)) * cos * cos;
  }
  return odd ? (2 / Math.PI) * (angle + sum) : sum;
}

/** P(X > x) of the normal distribution for x >= 0, by the series of Abramowitz and Stegun, 26.2.11; 0 where it is below 1e-15. */
export function normalTail(x: number): number {
  if (x > 8) return 0;
  let [term, sum] = [x, 0];
  for (let n = 3; sum + term > sum; n += 2) {
    sum += term;
    term *= (x * x) / n;
  }
  return Math.max(0, 0.5 - (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * sum);
}

/** Index of the largest, the first of equals. */
export function indexOfLargest(x: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i]! > x[best]!) best = i;
  return best;
}

/** The middle value; of an even number, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? NaN;
  if (sorted.length % 2 === 1) return upper;
  const lower = sorted[(sorted.length >> 1) - 1] ?? NaN;
  return lower === upper ? upper : (lower + upper) / 2;
}
