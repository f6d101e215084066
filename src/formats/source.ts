import type { DType } from '../numerics/dtypes.js';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** File name relative to the source's folder. */
  readonly file: string;
}

export interface SourceFile {
  /** Relative to the source's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly mtimeMs: number;
  /** The header's bytes as they stand in the file; part of a run's fingerprint. */
  readonly header: Uint8Array;
}

/** A model's weights, whatever file format holds them: names, shapes and rows. Nothing but what `read` returns is ever in memory. */
export interface Source {
  /** In the order of the files. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly files: readonly SourceFile[];
  /**
   * Bytes of a tensor as stored, little-endian, or of its rows [from, to) along the first dimension. The memory is the
   * caller's own and aligned for every typed array.
   * @throws TensorpressError TENSOR, naming file and tensor, when the file cannot be read or has changed
   */
  read(
    name: string,
    rows?: { readonly from: number; readonly to: number },
    /** Memory to read into, by length. Default: new memory. */
    allocate?: (bytes: number) => Uint8Array,
  ): Promise<Uint8Array>;
  close(): Promise<void>;
}
