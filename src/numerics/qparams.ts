import { machineEpsilon, roundArray, roundTo, smallestNormal, type ModelDType } from './dtypes.js';
import {
  bitsOf,
  decodeE8M0,
  E2M1_MAX,
  E4M3,
  E4M3_MAX,
  encodeE4M3,
  encodeF16,
  F16_MAX,
  roundHalfEven,
} from './floats.js';
import type { QParams, Range } from './grid.js';

/** What the arithmetic needs to know of a scheme: four fields of compressed-tensors' QuantizationArgs. */
export interface Quantizer {
  readonly num_bits: number;
  readonly type: 'int' | 'float';
  readonly symmetric: boolean;
  readonly scale_dtype: 'torch.float8_e4m3fn' | 'torch.uint8' | 'torch.int8' | null;
}

/** Smallest and largest code as numbers: int b: -2^(b-1) ... 2^(b-1) - 1, fp8: +-448, fp4: +-6. */
export function codeRange({ num_bits, type }: Quantizer): { lowest: number; highest: number } {
  if (type === 'int') return { lowest: -(2 ** (num_bits - 1)), highest: 2 ** (num_bits - 1) - 1 };
  const highest = num_bits === 4 ? E2M1_MAX : E4M3_MAX;
  return { lowest: -highest, highest };
}

/**
 * Scale and zero point of each block from its minimum and maximum, as compressed-tensors computes them: every operation is rounded to the
 * model dtype T.
 *
 *     symmetric     s = T[max(|min|, |max|) / (range / 2)]            int8 127.5, int4 7.5, fp8 448, fp4 6
 *     asymmetric    s = T[T[max - min] / range],  z = round(clamp(T[lowest - T[min / s]]))
 *     NVFP4         s = e4m3(f32[G * s])
 *     MX            s = the power of two of `mxScale`
 *
 * min and max are first made to enclose 0. A scale of 0 becomes 1/8 (e4m3), 1 (E8M0) or T's machine epsilon. The zero point of an all-zero
 * block, 0/0 in the formula, is 0.
 *
 * In float16 the scale of a float scheme can be too small to keep its digits. Such scales are computed in float32 (see `keepDigits`), unless
 * `float16` asks for the plain arithmetic; `float16Underflow` counts them. Scales of integer schemes stay the reference's.
 */
export function qparams(
  range: Range,
  args: Quantizer,
  dtype: ModelDType,
  globalScale: number | null = null,
  { float16 = 'sound' }: { float16?: 'sound' | 'reference' } = {},
): QParams {
  const { lowest, highest } = codeRange(args);
  const levels = args.type === 'int' ? highest - lowest : 2 * highest;
  const divisor = args.symmetric ? levels / 2 : levels;
  const rescue = dtype === 'F16' && args.type === 'float' && float16 === 'sound';
  const zeroPoint = args.symmetric ? null : new Int8Array(range.min.length);

  // step by step over all blocks: in a row of simple loops a step costs next to nothing
  const scale = spans(range, args, dtype);
  if (args.scale_dtype === 'torch.uint8') {
    for (let i = 0; i < scale.length; i++) scale[i] = mxScale(scale[i]!, args.num_bits, dtype, rescue) || 1;
    return { scale, zeroPoint, globalScale };
  }
  const soundly = rescue ? { args, globalScale } : null;
  divide(scale, divisor, dtype, soundly);
  if (globalScale !== null) for (let i = 0; i < scale.length; i++) scale[i] = globalScale * scale[i]!;
  if (args.scale_dtype === 'torch.float8_e4m3fn') {
    for (let i = 0; i < scale.length; i++) scale[i] = E4M3[encodeE4M3(scale[i]!)]! || 0.125;
  }
  if (zeroPoint !== null) placeZeros(zeroPoint, range, scale, args, dtype);
  const epsilon = machineEpsilon(globalScale === null ? dtype : 'F32');
  for (let i = 0; i < scale.length; i++) scale[i] = scale[i]! || epsilon;
  return { scale, zeroPoint, globalScale };
}

/** How far each block reaches: its largest magnitude, or T[max - min] with 0 enclosed. */
function spans({ min, max }: Range, { symmetric }: Quantizer, dtype: ModelDType): Float32Array {
  const span = new Float32Array(min.length);
  if (symmetric) {
    // without their sign, bits compare like numbers; comparing numbers, the processor guesses wrong every other time
    const [lows, highs, bits] = [bitsIn(min), bitsIn(max), bitsIn(span)];
    for (let i = 0; i < span.length; i++) {
      const a = lows[i]! & 0x7fffffff;
      const less = a - (highs[i]! & 0x7fffffff);
      bits[i] = a - (less & (less >> 31));
    }
    return span;
  }
  for (let i = 0; i < span.length; i++) span[i] = Math.max(max[i]!, 0) - Math.min(min[i]!, 0);
  return roundArray(span, dtype);
}

const bitsIn = ({ buffer, byteOffset, length }: Float32Array) => new Int32Array(buffer, byteOffset, length);

/** T[span / divisor] in place; `soundly` in float16, with the digits that `keepDigits` saves. */
function divide(
  span: Float32Array,
  divisor: number,
  dtype: ModelDType,
  soundly: { readonly args: Quantizer; readonly globalScale: number | null } | null,
): void {
  if (soundly === null) {
    for (let i = 0; i < span.length; i++) span[i] = span[i]! / divisor;
    roundArray(span, dtype);
    return;
  }
  const T = roundTo(dtype);
  for (let i = 0; i < span.length; i++) {
    const s = T(span[i]! / divisor);
    const { args, globalScale } = soundly;
    span[i] = s < smallestNormal(dtype) ? keepDigits(s, span[i]!, divisor, args, globalScale) : s;
  }
}

/** z = round(clamp(T[lowest - T[min / s]])) */
function placeZeros(zeroPoint: Int8Array, range: Range, scale: Float32Array, args: Quantizer, dtype: ModelDType): void {
  const T = roundTo(dtype);
  const { lowest, highest } = codeRange(args);
  for (let i = 0; i < zeroPoint.length; i++) {
    const min = Math.min(range.min[i]!, 0);
    const s = scale[i]!;
    if (s === 0 && min === 0) continue;
    zeroPoint[i] = roundHalfEven(Math.min(Math.max(T(lowest - T(min / s)), lowest), highest));
  }
}

/** Number of blocks whose float16 parameters `qparams` and `globalScale` computed in float32, and so differently from the reference. */
export function float16Underflow(range: Range, args: Quantizer, globalScale: number | null = null): number {
  if (globalScale !== null && globalScale > F16_MAX) return range.min.length;
  const { scale } = qparams(range, args, 'F16', globalScale);
  const plain = qparams(range, args, 'F16', globalScale, { float16: 'reference' });
  return scale.reduce((count, s, i) => (s === plain.scale[i] ? count : count + 1), 0);
}

/**
 * G of NVFP4 from the largest magnitude A of the tensor, or of all members of a fused family: T[T[1 / A] * 448 * 6], A at least T's smallest
 * normal number, 1 where that is not finite (an all-zero tensor). In float16 it overflows for A < 0.041; G, which is stored in float32, is
 * then computed in float32.
 */
export function globalScale(absmax: number, dtype: ModelDType): number {
  const T = roundTo(dtype);
  const G = T(T(1 / Math.max(absmax, smallestNormal(dtype))) * (E4M3_MAX * E2M1_MAX));
  if (Number.isFinite(G)) return G;
  return dtype === 'F16' ? globalScale(absmax, 'F32') : 1;
}

/**
 * A subnormal float16 scale. What is stored in float16 (no global scale) stays the nearest float16, except where that would clip the largest
 * value by more than half a step of the codes: there it is the next larger one, which also keeps it from being 0. What is multiplied by G
 * afterwards is not stored in float16 and keeps float32's digits.
 */
function keepDigits(s: number, span: number, divisor: number, args: Quantizer, globalScale: number | null): number {
  if (globalScale !== null) return Math.fround(span / divisor);
  const halfStep = args.num_bits === 4 ? 1 : 16;
  return span > s * (divisor + halfStep) ? s + 2 ** -24 : s;
}

/**
 * Power-of-two scale of microscaling formats: 2^(e - k) for a block's largest magnitude a, where e = floor(log2 a), one more when a's
 * mantissa is at least 1.75, and k = 2 for fp4, 8 for fp8; never below E8M0's 2^-127. Returns 0 where float16 underflows, unless `rescue`
 * asks for the power itself: it is stored as E8M0, not as float16.
 */
function mxScale(a: number, bits: number, dtype: ModelDType, rescue: boolean): number {
  const k = bits === 4 ? 2 : 8;
  const scale = decodeE8M0(Math.max(127 + carriedExponent(a, dtype) - k, 0));
  if (dtype !== 'F16' || scale >= 2 ** -24) return scale;
  return rescue && a > 0 ? mxScale(a, bits, 'F32', false) : 0;
}

/** The exponent in a's bit pattern after adding 2^(m - 2) to it, m = mantissa bits of T: it carries at mantissa 1.75. */
function carriedExponent(a: number, dtype: ModelDType): number {
  if (dtype === 'F16') {
    const field = (encodeF16(a) + (1 << 8)) >>> 10;
    return field === 0 ? -Infinity : field - 15; // a subnormal's exponent reads as that of 0
  }
  return ((bitsOf(a) + (1 << 21)) >>> 23) - 127;
}
