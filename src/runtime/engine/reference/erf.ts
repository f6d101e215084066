/** Below it the series of erf has lost no digits, above it the continued fraction of erfc has reached them. */
const SEAM = 2;
const DEPTH = 80;

/** erf(x) = 2/√π exp(-x²) Σ 2ⁿ x^(2n+1) / (1 3 5 ... (2n+1)): all terms of one sign (DLMF 7.6.2). Relative error about 1e-15. */
export function erf(x: number): number {
  if (Math.abs(x) >= SEAM) return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 2 ** -56; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/**
 * erfc(x) = 1 - erf(x), which keeps its digits where erf comes near 1: for large x
 * exp(-x²)/√π 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...)))) (DLMF 7.9.1).
 */
export function erfc(x: number): number {
  if (x < SEAM) return 1 - erf(x);
  let fraction = x;
  for (let n = DEPTH; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}
