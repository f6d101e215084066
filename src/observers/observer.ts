import type { Grid, Range } from '../numerics/grid.js';
import type { ModelDType } from '../numerics/dtypes.js';
import type { Op } from '../runtime/model/graph.js';
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
  /** E[x_c²] of the weight's input, [C]: for observers with `weighs`, where there is calibration data. */
  readonly importance?: Float64Array;
  /** Takes a sentence for the report: why something else was done than the name of the observer says. */
  readonly remark?: (message: string) => void;
}

/** A reduction that runs inside the graph, so that the value itself never leaves the engine. */
export type Reduction = {
  [N in 'range' | 'squares' | 'magnitudes' | 'gram']: Pick<Op<N>, 'op' | 'with'>;
}['range' | 'squares' | 'magnitudes' | 'gram'];

/** A value that flows through the model, as an observer is asked about it. */
export interface ValueSpec {
  /** Columns of the value [T, C]. */
  readonly columns: number;
  /** Consecutive columns that share a scale: all of them for a tensor, those of a head for attn_head. */
  readonly size: number;
  /** The scheme that the value will have; null where none is meant. */
  readonly args: QuantizationArgs | null;
  /** The model's dtype. */
  readonly dtype: ModelDType;
  /** `observer_kwargs`, or an observation's own options. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a batch was. */
export interface Seen {
  readonly tokens: number;
  readonly sequences: number;
}

/** How a value is observed: reduced batch by batch inside the graph, and folded on the host in float64, in the order of the batches. */
export interface ValueObserver<State, Result> {
  /** What is wanted of each batch; none: the value itself, [T, C]. */
  reduce(spec: ValueSpec): readonly Reduction[];
  init(spec: ValueSpec): State;
  /**
   * Folds one batch in.
   * @param reduced one array per reduction, or the value; overwritten afterwards
   * @param seen at least one token
   */
  update(state: State, reduced: readonly (Float32Array | Float64Array)[], seen: Seen, spec: ValueSpec): void;
  /** @throws TensorpressError TENSOR when no token was seen, or numbers that are not finite; the caller knows which value it was */
  finish(state: State, spec: ValueSpec): Result;
}

/**
 * An observer turns values into what a modifier computes with. Those of schemes give the range [min, max] of each scale, from which scale and
 * zero point follow, for weights, for values that flow, or for both; others (the Hessian) give what their algorithm needs.
 *
 * Weights are observed once, so the moving averages of the activation forms do not apply to them.
 */
export interface Observer<State = unknown, Result = unknown> {
  /** The names it answers to in a recipe. */
  readonly names: readonly string[];
  /** Of a plugin's: what its `observer_kwargs` may hold. Default: nothing. */
  readonly kwargs?: readonly string[];
  /**
   * What a weight's scales are computed from.
   * @throws TensorpressError TENSOR when the weight holds NaN or infinity
   */
  weightRange?(observation: WeightObservation): Promise<Range>;
  /** Whether `weightRange` weighs errors by the energy of the weight's input, and so wants calibration data. */
  readonly weighs?: true;
  readonly values?: ValueObserver<State, Result>;
}

/** An observer that sees weights. */
export type WeightObserver = Observer & Required<Pick<Observer, 'weightRange'>>;

/** Declares an observer; the identity, so that its type is checked where it is written. */
export function defineObserver<State, Result>(observer: Observer<State, Result>): Observer<State, Result> {
  return observer;
}
