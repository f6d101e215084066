import { TensorpressError } from '../errors.js';
import { decodeE5M2, decodeE8M0, decodeF16, E4M3, encodeE4M3, encodeE8M0, encodeF16, roundHalfEven } from './floats.js';

/** Element types of safetensors, in its own spelling. Sub-byte types are not among them: no checkpoint that we read or write holds them. */
export type DType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'F8_E8M0'
  | 'C64'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

/** T of the reference: the dtype of a source weight that can be quantized. All arithmetic is rounded to it after every operation. */
export type ModelDType = 'F32' | 'F16' | 'BF16';

export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  C64: 8,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

const MACHINE_EPSILON: Readonly<Record<ModelDType, number>> = { F32: 2 ** -23, BF16: 2 ** -7, F16: 2 ** -10 };
const SMALLEST_NORMAL: Readonly<Record<ModelDType, number>> = { F32: 2 ** -126, BF16: 2 ** -126, F16: 2 ** -14 };

/** Distance from 1 to the next larger number of the dtype. */
export function machineEpsilon(dtype: ModelDType): number {
  return MACHINE_EPSILON[dtype];
}

/** Smallest positive number of the dtype that has all its digits. */
export function smallestNormal(dtype: ModelDType): number {
  return SMALLEST_NORMAL[dtype];
}

/** fl_T: the number of the dtype nearest to x, ties to even; float64 goes through float32, as in PyTorch. For arrays use `roundArray`. */
export function roundTo(dtype: ModelDType): (x: number) => number {
  if (dtype === 'F32') return Math.fround;
  const cell = new Float32Array(1);
  const bits = new Uint32Array(cell.buffer);
  const round = dtype === 'BF16' ? roundBitsBF16 : roundBitsF16;
  return x => {
    cell[0] = x;
    round(bits, cell);
    return cell[0];
  };
}

/** `roundTo` for every element, in place. Returns its argument. */
export function roundArray(values: Float32Array, dtype: ModelDType): Float32Array {
  if (dtype === 'F32') return values;
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'BF16') roundBitsBF16(bits);
  else roundBitsF16(bits, values);
  return values;
}

function roundBitsBF16(bits: Uint32Array): void {
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i]!;
    if ((u & 0x7f800000) !== 0x7f800000) bits[i] = (u + 0x7fff + ((u >>> 16) & 1)) & 0xffff0000;
  }
}

function roundBitsF16(bits: Uint32Array, values: Float32Array): void {
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i]!;
    const a = u & 0x7fffffff;
    if (a < 0x38800000) values[i] = roundSubnormalF16(values[i]!);
    else if (a < 0x477ff000) bits[i] = (u + 0xfff + ((u >>> 13) & 1)) & 0xffffe000;
    else if (a < 0x7f800000) bits[i] = (u & 0x80000000) | 0x7f800000;
  }
}

/** Multiples of 2^-24, keeping the sign of zero. */
function roundSubnormalF16(x: number): number {
  const magnitude = roundHalfEven(Math.abs(x) * 2 ** 24) * 2 ** -24;
  return x < 0 || Object.is(x, -0) ? -magnitude : magnitude;
}

/** Index of the first NaN or infinity, -1 if there is none. */
export function firstNonFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    if (v - v !== 0) return i;
  }
  return -1;
}

/** All values of a 16-bit or 8-bit format, made when first needed. */
function table(size: number, decode: (bits: number) => number): () => Float32Array {
  let values: Float32Array | undefined;
  return () => (values ??= Float32Array.from({ length: size }, (_, bits) => decode(bits)));
}

const F16 = table(1 << 16, decodeF16);
const E5M2 = table(256, decodeE5M2);
const E8M0 = table(256, decodeE8M0);

/**
 * Little-endian elements as float32, whatever the alignment of `bytes`. F64 and integers are rounded once; everything else is exact. For F32
 * the result may share memory with `bytes`.
 * @throws TensorpressError TENSOR for C64
 */
export function widen(bytes: Uint8Array, dtype: DType): Float32Array {
  switch (dtype) {
    case 'F32':
      return new Float32Array(...aligned(bytes, 4));
    case 'BF16':
      return widenBF16(new Uint16Array(...aligned(bytes, 2)));
    case 'F16':
      return lookUp(new Uint16Array(...aligned(bytes, 2)), F16());
    case 'F8_E4M3':
      return lookUp(bytes, E4M3);
    case 'F8_E5M2':
      return lookUp(bytes, E5M2());
    case 'F8_E8M0':
      return lookUp(bytes, E8M0());
    case 'F64':
      return new Float32Array(new Float64Array(...aligned(bytes, 8)));
    case 'I32':
      return new Float32Array(new Int32Array(...aligned(bytes, 4)));
    case 'U32':
      return new Float32Array(new Uint32Array(...aligned(bytes, 4)));
    case 'I16':
      return new Float32Array(new Int16Array(...aligned(bytes, 2)));
    case 'U16':
      return new Float32Array(new Uint16Array(...aligned(bytes, 2)));
    case 'I8':
      return new Float32Array(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    case 'U8':
    case 'BOOL':
      return new Float32Array(bytes);
    case 'I64':
      return Float32Array.from(new BigInt64Array(...aligned(bytes, 8)), Number);
    case 'U64':
      return Float32Array.from(new BigUint64Array(...aligned(bytes, 8)), Number);
    case 'C64':
      throw new TensorpressError('TENSOR', 'complex numbers (C64) cannot be read as real ones');
  }
}

/** `widen` into memory for as many numbers. */
export function widenInto(bytes: Uint8Array, dtype: DType, out: Float32Array): void {
  if (dtype === 'BF16') widenBF16(new Uint16Array(...aligned(bytes, 2)), out);
  else out.set(widen(bytes, dtype));
}

/** x[c] = element at + c of a weight's stored elements, for the columns of one row. */
export function widenRow(stored: Uint8Array, at: number, dtype: ModelDType, x: Float32Array): void {
  const bytes = DTYPE_BYTES[dtype];
  x.set(widen(stored.subarray(at * bytes, (at + x.length) * bytes), dtype));
}

/**
 * Values as little-endian bytes of a dtype, each the nearest one, ties to even. float8 e4m3 saturates at +-448, integers at their limits
 * (NaN becomes 0); float16 and bfloat16 overflow to infinity. For F32 the result shares memory with `values`.
 * @throws TensorpressError INTERNAL for dtypes that are never written from numbers (F8_E5M2, I64, U64, C64, BOOL)
 */
export function narrow(values: Float32Array, dtype: DType): Uint8Array {
  switch (dtype) {
    case 'F32':
      return bytesOf(values);
    case 'F64':
      return bytesOf(new Float64Array(values));
    case 'BF16':
      return bytesOf(narrowBF16(values));
    case 'F16':
      return bytesOf(narrowF16(values));
    case 'F8_E4M3':
      return narrowE4M3(values);
    case 'F8_E8M0':
      return encodeEach(values, new Uint8Array(values.length), encodeE8M0);
    case 'I8':
      return bytesOf(encodeEach(values, new Int8Array(values.length), saturate(-(2 ** 7), 2 ** 7 - 1)));
    case 'U8':
      return encodeEach(values, new Uint8Array(values.length), saturate(0, 2 ** 8 - 1));
    case 'I16':
      return bytesOf(encodeEach(values, new Int16Array(values.length), saturate(-(2 ** 15), 2 ** 15 - 1)));
    case 'U16':
      return bytesOf(encodeEach(values, new Uint16Array(values.length), saturate(0, 2 ** 16 - 1)));
    case 'I32':
      return bytesOf(encodeEach(values, new Int32Array(values.length), saturate(-(2 ** 31), 2 ** 31 - 1)));
    case 'U32':
      return bytesOf(encodeEach(values, new Uint32Array(values.length), saturate(0, 2 ** 32 - 1)));
    default:
      throw new TensorpressError('INTERNAL', `numbers cannot be stored as ${dtype}`);
  }
}

/** Arguments of a typed-array constructor over `bytes`, copied only if they do not lie on a multiple of `size`. */
function aligned(bytes: Uint8Array, size: number): [ArrayBufferLike, number, number] {
  const at = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return [at.buffer, at.byteOffset, bytes.length / size];
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function widenBF16(from: Uint16Array, out: Float32Array = new Float32Array(from.length)): Float32Array {
  const bits = new Uint32Array(out.buffer, out.byteOffset, from.length);
  for (let i = 0; i < from.length; i++) bits[i] = from[i]! << 16;
  return out;
}

function lookUp(from: Uint8Array | Uint16Array, values: Readonly<Float32Array>): Float32Array {
  const out = new Float32Array(from.length);
  for (let i = 0; i < from.length; i++) out[i] = values[from[i]!]!;
  return out;
}

function narrowBF16(from: Float32Array): Uint16Array {
  const out = new Uint16Array(from.length);
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < out.length; i++) {
    const u = bits[i]!;
    const nan = (u & 0x7fffffff) > 0x7f800000; // must not round to infinity
    out[i] = nan ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
  return out;
}

function narrowF16(from: Float32Array): Uint16Array {
  const out = new Uint16Array(from.length);
  for (let i = 0; i < out.length; i++) out[i] = encodeF16(from[i]!);
  return out;
}

function narrowE4M3(from: Float32Array): Uint8Array {
  const out = new Uint8Array(from.length);
  for (let i = 0; i < out.length; i++) out[i] = encodeE4M3(from[i]!);
  return out;
}

type Writable = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;

function encodeEach<A extends Writable>(from: Float32Array, out: A, encode: (x: number) => number): A {
  for (let i = 0; i < from.length; i++) out[i] = encode(from[i]!);
  return out;
}

function saturate(lowest: number, highest: number): (x: number) => number {
  return x => (x > lowest ? roundHalfEven(Math.min(x, highest)) : x === x ? lowest : 0);
}
