import type { Builder, Wire } from './builder.js';

/**
 * The float8 e4m3 number nearest to x, ties to even; |x| <= 448: whole multiples of an eighth of the power of two below |x|, or of 2^-9 under
 * 2^-6. Steps are powers of two, so nothing but `round` rounds.
 */
export function roundE4M3(b: Builder, x: Wire): Wire {
  const { power } = floorPower(b, b.binary('Max', b.unary('Abs', x), 2 ** -6), -6, [8, 4, 2, 1]);
  return inSteps(b, x, b.binary('Mul', power, 1 / 8));
}

/** The float4 e2m1 number nearest to x, ties to even; |x| <= 6: steps of 1/2 below 2, of 1 below 4, then of 2. */
export function roundE2M1(b: Builder, x: Wire): Wire {
  const size = b.unary('Abs', x);
  const below = (bound: number): Wire => b.binary('Less', size, bound, 'bool');
  return inSteps(b, x, b.where(below(2), 0.5, b.where(below(4), 1, 2)));
}

/**
 * The scale of microscaling formats, `mxScale`: 2^(e - k) for a block's largest magnitude a, with e = floor(log2 a), one more from a mantissa
 * of 1.75 on, and k = 2 for fp4, 8 for fp8; never below 2^-127.
 */
export function mxScale(b: Builder, a: Wire, bits: number): Wire {
  const k = bits === 4 ? 2 : 8;
  const { power, mantissa } = floorPower(b, b.binary('Max', a, 2 ** -126), -126, [64, 64, 64, 32, 16, 8, 4, 2, 1]);
  const carries = b.binary('GreaterOrEqual', mantissa, 1.75, 'bool');
  const scale = b.where(carries, b.binary('Mul', power, 2 ** (1 - k)), b.binary('Mul', power, 2 ** -k));
  return b.binary('Max', scale, 2 ** -127);
}

/** Not by `Where` between results: onnxruntime's makes 0 of -0. */
function inSteps(b: Builder, x: Wire, step: Wire | number): Wire {
  return b.binary('Mul', b.round(b.binary('Div', x, step)), step);
}

/**
 * a = power mantissa with the largest power of two that is no more than a >= 2^least. ONNX does not know the bits of a float, so the exponent
 * is found by comparing with `least + halving` for each halving; every product is exact.
 */
function floorPower(
  b: Builder,
  a: Wire,
  least: number,
  halvings: readonly number[],
): { readonly power: Wire; readonly mantissa: Wire } {
  let power: Wire | number = 2 ** least;
  let rest = a;
  for (const halving of halvings) {
    const reaches = b.binary('GreaterOrEqual', rest, 2 ** (least + halving), 'bool');
    const raised: Wire | number =
      typeof power === 'number' ? power * 2 ** halving : b.binary('Mul', power, 2 ** halving);
    power = b.where(reaches, raised, power);
    rest = b.where(reaches, b.binary('Mul', rest, 2 ** -halving), rest);
  }
  return { power: power as Wire, mantissa: b.binary('Mul', rest, 2 ** -least) };
}
