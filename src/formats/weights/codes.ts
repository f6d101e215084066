import type { DType } from '../../numerics/dtypes.js';
import type { Codes } from '../../numerics/grid.js';
import { packBits, packedWords, packNibbles, unpackBits, unpackNibbles } from '../../numerics/pack.js';
import type { WeightSpec } from '../format.js';
import { asBytes, asInt32 } from './views.js';

/** How the codes of whole rows are stored. */
export interface CodeStorage {
  readonly suffix: string;
  layout(spec: WeightSpec): { readonly dtype: DType; readonly shape: readonly number[] };
  /** C from the width of the stored tensor; absent where padding hides it, and weight_shape has to be stored. */
  columns?(width: number): number;
  compress(codes: Codes, spec: WeightSpec, into?: Uint8Array): Uint8Array;
  decompress(bytes: Uint8Array, spec: WeightSpec): Codes;
}

/** A byte per code, whatever its width: I8 for integers, F8_E4M3 for fp8. */
export const wholeBytes: CodeStorage = {
  suffix: 'weight',
  layout: ({ rows, columns, args }) => ({ dtype: args.type === 'int' ? 'I8' : 'F8_E4M3', shape: [rows, columns] }),
  columns: width => width,
  compress: (codes, _spec, into) => {
    if (into === undefined) return asBytes(codes);
    into.set(asBytes(codes));
    return into;
  },
  decompress: (bytes, { args }) =>
    args.type === 'int' ? new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes,
};

/** Each row a stream of b-bit fields in int32 words. */
export const bitStream: CodeStorage = {
  suffix: 'weight_packed',
  layout: ({ rows, columns, args }) => ({ dtype: 'I32', shape: [rows, packedWords(columns, args.num_bits)] }),
  compress: (codes, { columns, args }, into) =>
    asBytes(packBits(codes as Int8Array, codes.length / columns, columns, args.num_bits, into && asInt32(into))),
  decompress: (bytes, { columns, args }) => {
    const words = asInt32(bytes);
    return unpackBits(words, words.length / packedWords(columns, args.num_bits), columns, args.num_bits);
  },
};

/** Two fp4 codes per byte. */
export const nibbles: CodeStorage = {
  suffix: 'weight_packed',
  layout: ({ rows, columns }) => ({ dtype: 'U8', shape: [rows, columns / 2] }),
  columns: width => width * 2,
  compress: (codes, _spec, into) => packNibbles(codes as Uint8Array, into),
  decompress: bytes => unpackNibbles(bytes),
};
