import { E2M1, E4M3 } from '../numerics/floats.js';
import type { QuantizationArgs } from '../schemes/args.js';

export interface Histogram {
  readonly labels: readonly string[];
  readonly counts: readonly number[];
}

/**
 * How often each code is used, from the lowest value to the highest; fp8's 255 values are counted by sign and exponent.
 * @param usage [256], by the code's low byte
 */
export function codeHistogram({ type, num_bits }: QuantizationArgs, usage: readonly number[]): Histogram {
  if (type === 'int') {
    const lowest = -(2 ** (num_bits - 1));
    const values = Array.from({ length: 2 ** num_bits }, (_, i) => lowest + i);
    return { labels: values.map(String), counts: values.map(value => usage[value & 255] ?? 0) };
  }
  return num_bits === 4 ? fp4(usage) : fp8(usage);
}

function fp4(usage: readonly number[]): Histogram {
  // both zeros are one value
  const codes = [15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7];
  return {
    labels: codes.map(code => String(E2M1[code])),
    counts: codes.map(code => (usage[code] ?? 0) + (code === 0 ? (usage[8] ?? 0) : 0)),
  };
}

function fp8(usage: readonly number[]): Histogram {
  const exponents = Array.from({ length: 16 }, (_, e) => e);
  const count = (sign: number, e: number) =>
    usage.slice((sign << 7) | (e << 3), ((sign << 7) | (e << 3)) + 8).reduce((a, b) => a + b, 0);
  const label = (sign: number, e: number) => `${sign ? '-' : ''}${e === 0 ? '0' : E4M3[e << 3]}`;
  const order = [...exponents.toReversed().map(e => [1, e] as const), ...exponents.map(e => [0, e] as const)];
  return { labels: order.map(([sign, e]) => label(sign, e)), counts: order.map(([sign, e]) => count(sign, e)) };
}
