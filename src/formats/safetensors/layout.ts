import { TensorpressError } from '../../errors.js';
import { DTYPE_BYTES, type DType } from '../../numerics/dtypes.js';
import { PREFIX_BYTES } from './header.js';

/** A tensor that will be written. */
export interface Planned {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A safetensors file before its data exist: the first bytes and everybody's place. */
export interface FileLayout {
  /** Prefix and JSON. */
  readonly header: Uint8Array;
  /** Offsets from the start of the file. */
  readonly offsets: ReadonlyMap<string, { readonly offset: number; readonly bytes: number }>;
  /** Of the whole file. */
  readonly bytes: number;
}

/**
 * The order of safetensors' own writer: its enumeration of dtypes backwards, widest first, so that every tensor is aligned to its element.
 */
const ORDER: readonly DType[] = [
  ...(['U64', 'I64', 'F64', 'C64', 'F32', 'U32', 'I32', 'BF16', 'F16', 'U16', 'I16'] as const),
  ...(['F8_E8M0', 'F8_E4M3', 'F8_E5M2', 'I8', 'U8', 'BOOL'] as const),
];

/** Bytes that a tensor occupies. */
export function byteLength({ dtype, shape }: { readonly dtype: DType; readonly shape: readonly number[] }): number {
  return shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
}

/**
 * Lays out one file: header padded with spaces to a multiple of 8, `__metadata__` first (transformers wants its `format: pt`), then the
 * tensors by dtype and name.
 * @throws TensorpressError INTERNAL when a name occurs twice
 */
export function layoutFile(tensors: readonly Planned[], metadata: Readonly<Record<string, string>> = {}): FileLayout {
  const sorted = tensors.toSorted(
    (a, b) => ORDER.indexOf(a.dtype) - ORDER.indexOf(b.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const entries = [`"__metadata__":${JSON.stringify({ format: 'pt', ...metadata })}`];
  const places = new Map<string, { offset: number; bytes: number }>();
  let end = 0;
  for (const { name, dtype, shape } of sorted) {
    if (places.has(name))
      throw new TensorpressError('INTERNAL', `${name} is to be written twice`, { place: { tensor: name } });
    const bytes = byteLength({ dtype, shape });
    const entry = { dtype, shape, data_offsets: [end, end + bytes] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    places.set(name, { offset: end, bytes });
    end += bytes;
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const start = PREFIX_BYTES + Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(start).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(start - PREFIX_BYTES), true);
  header.set(json, PREFIX_BYTES);
  for (const place of places.values()) place.offset += start;
  return { header, offsets: places, bytes: start + end };
}
