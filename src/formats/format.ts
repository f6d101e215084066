import type { DType, ModelDType } from '../numerics/dtypes.js';
import type { Codes, QParams } from '../numerics/grid.js';
import type { FormatName, QuantizationArgs } from '../schemes/args.js';

/** One tensor of a compressed module; its full name is `<module>.<suffix>`. */
export interface TensorLayout {
  readonly suffix: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The weight as it is stored: what surrounds the codes. */
export interface Parameters extends QParams {
  /** Group of each column, [C]; null where columns are grouped in their order. */
  readonly groupIndex: Int32Array | null;
}

/** What a pair needs to know of the weight W[R, C]. */
export interface WeightSpec {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: ModelDType;
  readonly args: QuantizationArgs;
  /** Named in errors. */
  readonly module?: string;
}

/** Bytes of a stored tensor by suffix; undefined when the checkpoint does not hold it. */
export type ReadStored = (suffix: string) => Uint8Array | undefined;

/**
 * A storage format: one stateless pair. The codes' tensor is written and read by rows, because rows are independent in every format and a
 * tensor may be larger than memory; everything else is small and handled whole.
 */
export interface WeightFormat {
  readonly name: FormatName;
  /** Suffix of the tensor that holds the codes. */
  readonly codes: string;
  /** Suffixes of every other tensor that this format may store. */
  readonly parameters: readonly string[];
  /** A sentence when this format cannot hold such a weight. */
  refuses(spec: WeightSpec): string | undefined;
  /** Every stored tensor of such a weight, the codes' first. */
  layout(spec: WeightSpec): TensorLayout[];
  /**
   * R and C of a stored weight: what weight_shape says where the format has it, else what follows from the shape of the codes' tensor.
   * @throws TensorpressError TENSOR
   */
  measure(stored: readonly number[], read: ReadStored, module?: string): { rows: number; columns: number };
  /**
   * Codes of whole rows -> their bytes in the codes' tensor.
   * @param into where they go, on a multiple of 4 bytes; without it the result may share memory with `codes`
   */
  compress(codes: Codes, spec: WeightSpec, into?: Uint8Array): Uint8Array;
  /** The inverse of `compress`. */
  decompress(bytes: Uint8Array, spec: WeightSpec): Codes;
  /** Bytes of every tensor of `layout` but the first, by suffix. */
  compressParameters(parameters: Parameters, spec: WeightSpec): Map<string, Uint8Array>;
  /**
   * The inverse.
   * @throws TensorpressError TENSOR when a tensor is absent or has a wrong size, a scale is not finite, a zero point lies outside the signed
   *   range, or a group index names no group
   */
  decompressParameters(read: ReadStored, spec: WeightSpec): Parameters;
}
