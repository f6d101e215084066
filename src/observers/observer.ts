import type { Grid, Range } from '../numerics/grid.js';
import type { ModelDType } from '../numerics/dtypes.js';
import type { QuantizationArgs } from '../schemes/args.js';

/** Consecutive whole rows of a weight, in float32. */
export interface RowChunk {
  readonly fromRow: number;
  /** [n, columns] */
  readonly x: Float32Array;
}

/** A weight W[R, C] that is read in chunks of rows, as often as an observer needs; it may be larger than memory. */
export interface WeightRows {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: ModelDType;
  chunks(): AsyncIterable<RowChunk>;
  /**
   * Minimum and maximum of each block, found wherever that is fastest.
   * @throws TensorpressError TENSOR when the weight holds NaN or infinity
   */
  range(grid: Grid): Promise<Range>;
}

export interface WeightObservation {
  readonly weight: WeightRows;
  /** One block per scale. */
  readonly grid: Grid;
  readonly args: QuantizationArgs;
}

/**
 * An observer turns values into the range [min, max] of each scale; scales and zero points follow from the range.
 * Weights are observed once, so the moving averages of the activation forms do not apply to them.
 */
export interface Observer {
  /** The names it answers to in a recipe. */
  readonly names: readonly string[];
  /** What a weight's scales are computed from. */
  weightRange(observation: WeightObservation): Promise<Range>;
}

/** Declares an observer; the identity, so that its type is checked where it is written. */
export function defineObserver(observer: Observer): Observer {
  return observer;
}
