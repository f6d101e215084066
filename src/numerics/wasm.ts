import { firstNonFinite, type ModelDType } from './dtypes.js';
import { TYPESCRIPT_KERNELS, type Arrays, type Kernels, type NumberArray } from './kernels.js';
import { KERNELS_WASM } from './kernels.generated.js';
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
}

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
  };
}

function kindOf({ type, num_bits }: Quantizer): number {
  return type === 'int' ? 0 : num_bits === 8 ? 1 : 2;
}

/** Arrays start at whole vectors, and have one to spare at their end. */
const VECTOR = 16;
const roomOf = ({ byteLength }: NumberArray): number => Math.ceil(byteLength / VECTOR) * VECTOR + VECTOR;

/** Copies arrays into the kernels' memory, one after the other from its start. */
function place<A extends Arrays>(arrays: A, { memory, heapBase }: Exports): A {
  let free = Math.ceil(heapBase() / VECTOR) * VECTOR;
  const missing = free + total(arrays) - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  const copy = <N extends NumberArray>(array: N): N => {
    const Type = array.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => N;
    const there = new Type(memory.buffer, free, array.length);
    there.set(array);
    free += roomOf(array);
    return there;
  };
  return mapArrays(arrays, copy);
}

function mapArrays<A extends Arrays>(arrays: A, map: (array: NumberArray) => NumberArray): A {
  const entries = Object.entries(arrays).map(([name, value]) => {
    if (value === null || typeof value === 'number') return [name, value] as const;
    return [name, isArray(value) ? map(value) : mapArrays(value, map)] as const;
  });
  return Object.fromEntries(entries) as A;
}

function total(arrays: Arrays): number {
  return Object.values(arrays).reduce<number>((sum, value) => {
    if (value === null || typeof value === 'number') return sum;
    return sum + (isArray(value) ? roomOf(value) : total(value));
  }, 0);
}

function isArray(value: NumberArray | Arrays): value is NumberArray {
  return ArrayBuffer.isView(value);
}
