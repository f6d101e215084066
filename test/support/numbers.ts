import assert from 'node:assert/strict';

/** A generator of reproducible doubles in [0, 1): mulberry32. */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normally distributed float32 values of standard deviation `sigma`. */
export function normal(length: number, seed: number, sigma = 1): Float32Array {
  const next = seeded(seed);
  return Float32Array.from(
    { length },
    () => sigma * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

/** Nested arrays of numbers, as golden data has them; null stands for NaN. */
export type Nested = number | null | readonly Nested[];

/** All numbers of nested arrays, in order. */
export function flat(nested: Nested): number[] {
  return Array.isArray(nested) ? nested.flatMap(flat) : [nested === null ? NaN : (nested as number)];
}

/** Element by element equal; zeros of either sign are equal unless `signedZeros`. Names the first difference. */
export function assertNumbers(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
  { signedZeros = false }: { signedZeros?: boolean } = {},
): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (signedZeros ? Object.is(a, e) : a === e || (a !== a && e !== e)) continue;
    assert.fail(`${what}: element ${i} is ${a}, expected ${e}`);
  }
}
