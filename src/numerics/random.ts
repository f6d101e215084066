import { createHash } from 'node:crypto';

/** A stream of random numbers that is the same on every machine. */
export interface Random {
  /** Uniform over the integers from 0 to 2^32 - 1. */
  uint32(): number;
  /** Uniform over [0, 1), in steps of 2^-53. */
  float64(): number;
}

/**
 * The stream of (seed, keys): keys name what the numbers are for (a modifier, a part), so that no use disturbs another. Its state is the first
 * 16 bytes of the SHA-256 of the JSON text of [seed, ...keys].
 */
export function random(seed: number, ...keys: readonly (string | number)[]): Random {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, ...keys]))
    .digest();
  return xoshiro128([0, 4, 8, 12].map(at => digest.readUInt32LE(at)) as [number, number, number, number]);
}

/** xoshiro128** 1.1 (Blackman and Vigna 2018) from a state of four 32-bit words, not all zero. */
export function xoshiro128([a, b, c, d]: readonly [number, number, number, number]): Random {
  const uint32 = () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
  return {
    uint32,
    float64: () => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53,
  };
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}
