import { firstNonFinite, type ModelDType } from './dtypes.js';
import {
  Blank,
  isArray,
  mapArrays,
  TYPESCRIPT_KERNELS,
  type Arrays,
  type Kernels,
  type NumberArray,
  type Placed,
} from './kernels.js';
import { KERNELS_WASM } from './kernels.generated.js';
import type { Tile } from './product.js';
import { codeRange, type Quantizer } from './qparams.js';

/** What kernels/index.ts exports. Pointers are byte offsets into `memory`. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  heapBase(): number;
  widenRow(stored: number, dtype: number, columns: number, x: number): void;
  isFinite(x: number, columns: number): number;
  accumulateRange(x: number, columns: number, blockColumns: number, min: number, max: number): void;
  spreadBlocks(
    s: number,
    zeroPoint: number,
    G: number,
    columns: number,
    blockColumns: number,
    scale: number,
    zero: number,
  ): void;
  scaleRow(x: number, scale: number, zero: number, T: number, columns: number, out: number): void;
  encodeRow(values: number, kind: number, lowest: number, highest: number, columns: number, codes: number): void;
  decodeRow(codes: number, kind: number, scale: number, zero: number, columns: number, out: number): void;
  accumulateError(
    w: number,
    wHat: number,
    columns: number,
    squaredError: number,
    squares: number,
    maxError: number,
  ): void;
  countCodes(codes: number, length: number, usage: number): void;
  subtractProduct32(...arguments_: ProductArguments): void;
  subtractProduct64(...arguments_: ProductArguments): void;
  subtractTerms(w: number, rows: number, e: number, eStride: number, u: number, uStride: number, terms: number): void;
  formError(w: number, q: number, T: number, d: number, rows: number, e: number, loss: number): void;
}

/** Pointer and stride of C, A and B, then m, n and k. */
type ProductArguments = [number, number, number, number, number, number, number, number, number];

/** The part of the WebAssembly API that is used here; the types of Node leave it to the DOM's. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

const DTYPES: Readonly<Record<ModelDType, number>> = { F32: 0, BF16: 1, F16: 2 };
const DTYPE_SHIFT: Readonly<Record<ModelDType, number>> = { F32: 2, BF16: 1, F16: 1 };
const PAGE = 1 << 16;

/** The fastest kernels that this machine runs, with memory of their own: one set per thread. */
export function createKernels(): Kernels {
  const bytes = Buffer.from(KERNELS_WASM, 'base64');
  // an engine without SIMD does not know these instructions
  if (!WebAssembly.validate(bytes)) return TYPESCRIPT_KERNELS;
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Exports;
  return {
    place: arrays => place(arrays, wasm),
    widenRow: (stored, at, dtype, x) =>
      wasm.widenRow(stored.byteOffset + (at << DTYPE_SHIFT[dtype]), DTYPES[dtype], x.length, x.byteOffset),
    firstNonFinite: x => (wasm.isFinite(x.byteOffset, x.length) ? -1 : firstNonFinite(x)),
    accumulateRange(x, row, { columns, blockRows, blockColumns, gridColumns }, { min, max }) {
      const block = Math.floor(row / blockRows) * gridColumns * 4;
      wasm.accumulateRange(x.byteOffset, columns, blockColumns, min.byteOffset + block, max.byteOffset + block);
    },
    spreadBlocks: (q, first, blockColumns, { scale, zero }) =>
      wasm.spreadBlocks(
        q.scale.byteOffset + first * 4,
        q.zeroPoint === null ? 0 : q.zeroPoint.byteOffset + first,
        q.globalScale ?? 0,
        scale.length,
        blockColumns,
        scale.byteOffset,
        zero?.byteOffset ?? 0,
      ),
    scaleRow: (x, at, { scale, zero }, T, out) =>
      wasm.scaleRow(
        x.byteOffset + at * 4,
        scale.byteOffset,
        zero?.byteOffset ?? 0,
        DTYPES[T],
        out.length,
        out.byteOffset,
      ),
    encodeRow(values, args, codes, at) {
      const { lowest, highest } = codeRange(args);
      wasm.encodeRow(values.byteOffset, kindOf(args), lowest, highest, values.length, codes.byteOffset + at);
    },
    decodeRow: (codes, at, args, { scale, zero }, out, outAt) =>
      wasm.decodeRow(
        codes.byteOffset + at,
        kindOf(args),
        scale.byteOffset,
        zero?.byteOffset ?? 0,
        scale.length,
        out.byteOffset + outAt * 4,
      ),
    accumulateError: (w, wHat, row, columns, { squaredError, squares, maxError }) =>
      wasm.accumulateError(
        w.byteOffset,
        wHat.byteOffset,
        columns,
        squaredError.byteOffset + row * 8,
        squares.byteOffset + row * 8,
        maxError.byteOffset + row * 8,
      ),
    countCodes: (codes, usage) => wasm.countCodes(codes.byteOffset, codes.length, usage.byteOffset),
    subtractProduct(C, A, B, { m, n, k }) {
      const product = C.values.BYTES_PER_ELEMENT === 4 ? wasm.subtractProduct32 : wasm.subtractProduct64;
      product(pointer(C), C.stride, pointer(A), A.stride, pointer(B), B.stride, m, n, k);
    },
    subtractTerms: (w, e, u, k) =>
      wasm.subtractTerms(w.byteOffset, w.length, pointer(e), e.stride, pointer(u), u.stride, k),
    formError: (w, q, T, d, e, loss) =>
      wasm.formError(w.byteOffset, q.byteOffset, DTYPES[T], d, w.length, e.byteOffset, loss.byteOffset),
  };
}

function pointer({ values, at }: Tile): number {
  return values.byteOffset + at * values.BYTES_PER_ELEMENT;
}

function kindOf({ type, num_bits }: Quantizer): number {
  return type === 'int' ? 0 : num_bits === 8 ? 1 : 2;
}

/** Arrays start at whole vectors, and have room for rows of a multiple of 16 columns. */
const VECTOR = 16;

function roomOf(array: NumberArray | Blank): number {
  const { BYTES_PER_ELEMENT } = array instanceof Blank ? array.type : array;
  return Math.ceil((array.length * BYTES_PER_ELEMENT) / VECTOR) * VECTOR + VECTOR * BYTES_PER_ELEMENT;
}

/** Lays arrays out in the kernels' memory, one after the other from its start, and copies what they hold. */
function place<A extends Arrays>(arrays: A, { memory, heapBase }: Exports): Placed<A> {
  const start = Math.ceil(heapBase() / VECTOR) * VECTOR;
  const missing = start + totalRoom(arrays) - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  let free = start;
  return mapArrays(arrays, array => {
    const Type = (array instanceof Blank ? array.type : array.constructor) as new (
      buffer: ArrayBuffer,
      offset: number,
      length: number,
    ) => NumberArray;
    const there = new Type(memory.buffer, free, array.length);
    if (!(array instanceof Blank)) there.set(array);
    free += roomOf(array);
    return there;
  });
}

function totalRoom(arrays: Arrays): number {
  return Object.values(arrays).reduce<number>((sum, value) => {
    if (value === null || typeof value === 'number') return sum;
    return sum + (isArray(value) ? roomOf(value) : totalRoom(value));
  }, 0);
}
