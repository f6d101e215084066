import type { DType, ModelDType } from '../numerics/dtypes.js';
import type { ColumnsProblem, ColumnsResult, Factor, FactorOptions, Hessian } from '../numerics/gptq.js';
import type { Codes, QParams, Range } from '../numerics/grid.js';
import type { Random } from '../numerics/random.js';
import type { Seen, WeightObserver } from '../observers/observer.js';
import type { FormatName, QuantizationArgs } from '../schemes/args.js';
import type { Model, Module, Part } from '../runtime/model/model.js';

/** The scheme of one module, and how it came by it. */
export interface ModuleScheme {
  readonly weights: QuantizationArgs | null;
  readonly input_activations: QuantizationArgs | null;
  readonly output_activations: QuantizationArgs | null;
  readonly format: FormatName;
  /** The targets of its group, as written into config.json. */
  readonly targets: readonly string[];
  /** The pattern that won. */
  readonly target: string;
  /** Of attention modules: `input_activations` are those of their queries, this is the rest. */
  readonly attention?: AttentionScheme;
}

/** What an attention module's cache holds. */
export interface AttentionScheme {
  /** Of keys and values. */
  readonly cache: QuantizationArgs;
  /** How many scales `attn_head` has for queries, and for keys and values; absent where no scale is stored. */
  readonly heads?: { readonly q: number; readonly kv: number };
  /** The model's dtype, which stored scales have. */
  readonly dtype: ModelDType;
}

/** Leads from a modifier's options to a value in them. */
export type OptionPath = readonly (string | number)[];

/** A finding about a recipe's options. */
export interface Problem {
  readonly level: 'error' | 'warning';
  readonly path: OptionPath;
  /** A sentence; of work that does not exist yet only its name. */
  readonly message: string;
  readonly hint?: string;
  /** The work behind this option does not exist yet; everything else about the recipe is right. */
  readonly notBuilt?: true;
}

/** How often a pattern of the recipe applied, so that the plan can show it. */
export interface PatternUse {
  readonly pattern: string;
  readonly role: 'target' | 'ignore';
  /** Modules it matches: of a target those that can take a scheme, of an entry of `ignore` all. */
  readonly matched: number;
  /** Modules whose scheme it decided (targets), or that it kept out (ignore). */
  readonly decided: number;
}

export interface Claims {
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  /** For every module that a target decided, the group that it got its scheme from (or that keeps it as it is). */
  readonly places: ReadonlyMap<string, OptionPath>;
  readonly patterns: readonly PatternUse[];
  readonly problems: readonly Problem[];
}

/**
 * A value of the model, by name: `<module>.input` and `<module>.output` of a Linear (Linears that read the same value share its site),
 * `<attention>.q`, `.k` and `.v` as attention reads them, after rope, and any other value of a part's graph behind its prefix
 * (`model.layers.3.residual`).
 */
export type Site = string;

/** Something to be found out about a value while calibration data flows through. Equal observations are made once. */
export interface Observation {
  readonly site: Site;
  /** Name of an observer that sees values. */
  readonly observer: string;
  /** The scheme that the value will have, and so which of its columns share a scale. */
  readonly args?: QuantizationArgs;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A small tensor that a modifier adds: `input_scale`, `k_scale`. */
export interface ParameterSpec {
  /** Full name. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** What a modifier does to one part. */
export interface PartPlan {
  /** Modules whose weight becomes codes. */
  readonly codes?: readonly string[];
  /** Modules whose weight becomes another one of the same shape and dtype. */
  readonly dense?: readonly string[];
  /** Tensors that it adds. */
  readonly parameters?: readonly ParameterSpec[];
  /** What it wants to know of the part, as it is before this modifier; `edit` takes it. */
  readonly observe?: readonly Observation[];
  /** A sentence when it cannot be done. */
  readonly refuse?: string;
}

/**
 * The weight of a module becomes codes, written by every output.
 * `codes: 'nearest'` means the codes of round to nearest on the given parameters: the run makes them row by row, so that no weight is held whole.
 */
export interface CodesEdit extends QParams {
  readonly kind: 'codes';
  readonly module: string;
  readonly codes: Codes | 'nearest';
  readonly arithmetic: 'reference' | 'exact';
  /** Group of each column, [C], where groups are not runs of columns (actorder `group`). Default: null. */
  readonly groupIndex?: Int32Array | null;
}

/** The weight of a module becomes another one, which later modifiers see. */
export interface DenseEdit {
  readonly kind: 'dense';
  readonly module: string;
  /** [R, C], rounded to the model's dtype when it is taken. */
  readonly weight: Float32Array;
}

/** A tensor that the modifier's plan has announced. */
export interface ParameterEdit {
  readonly kind: 'parameter';
  readonly name: string;
  /** Rounded to the dtype that was announced. */
  readonly values: ArrayLike<number>;
}

export type Edit = CodesEdit | DenseEdit | ParameterEdit;

/** What was observed. */
export interface Statistics {
  /**
   * The result of an observation that the plan of this part has announced; it may be collected only now, and is gone once every modifier that
   * asked for it has taken it. Modules that read the same value are given the same object.
   */
  take<Result>(observation: Observation): Promise<Result>;
  /** Tokens and sequences that every observation saw. */
  readonly seen: Seen;
}

/** What the run lends to a modifier: the heavy functions, run where they are fastest. */
export interface Compute {
  /** A module's weight W[R, C] in float32, as it is before this modifier. */
  weight(module: Module): Promise<Float32Array>;
  /**
   * Range of every scale of a module's weight under its scheme's weight observer.
   * @param importance see `WeightObservation`
   * @throws TensorpressError TENSOR when the weight holds NaN or infinity
   */
  weightRange(module: Module, args: QuantizationArgs, importance?: Float64Array): Promise<Range>;
  /** The weight observer of a scheme, for a weight that the modifier has made. */
  weightObserver(args: QuantizationArgs): WeightObserver;
  /** `gptqFactor` of src/numerics. */
  gptqFactor(hessian: Hessian, options: FactorOptions): Promise<Factor | null>;
  /** `gptqColumns` of src/numerics, on all threads. */
  gptqColumns(problem: ColumnsProblem): Promise<ColumnsResult>;
}

/** A line for the report: a fallback, a skip. */
export interface Remark {
  readonly module?: string;
  readonly message: string;
}

export interface EditContext<Options> {
  readonly options: Options;
  /** Those that `plan` was given. */
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  readonly statistics: Statistics;
  readonly compute: Compute;
  /** Numbers of this modifier and part alone, from the recipe's seed. */
  readonly random: Random;
  readonly emit: (edit: Edit) => Promise<void>;
  readonly report: (remark: Remark) => void;
  /** Figures of a module for progress and report: the `loss` that an algorithm minimised. */
  readonly measure: (module: string, figures: Readonly<Record<string, number>>) => void;
  readonly signal: AbortSignal;
}

export interface Modifier<Options = never> {
  /** The name in a recipe. */
  readonly type: string;
  /** JSON Schema of its options: a path relative to the modifier's own file (of a built-in one: a file of `schema/modifiers/`), or itself. */
  readonly schema: string | Readonly<Record<string, unknown>>;
  /** Whether its edits change what later parts see: those of GPTQ and pruning do, round to nearest does not. Default: false. */
  readonly flows?: boolean;
  /**
   * How it changes the schemes of weights that earlier modifiers gave, whose codes it makes in their place; undefined where, with these options, it
   * has schemes of its own.
   */
  inherits?(options: Options): ((weights: QuantizationArgs) => QuantizationArgs) | undefined;
  /** Which modules get which scheme; asked of all modifiers before any of them plans. Not asked of one that inherits. */
  schemes?(options: Options, model: Model): Claims;
  /**
   * What it will do to a part. `schemes` are those that are this modifier's to carry out; `weights` are null where another one makes the codes.
   */
  plan(options: Options, part: Part, schemes: ReadonlyMap<string, ModuleScheme>): PartPlan;
  /** Does it: one edit per tensor, each emitted as soon as it is known. */
  edit(part: Part, context: EditContext<Options>): Promise<void>;
}

/** Declares a modifier; the identity, so that its options are typed where it is written. */
export function defineModifier<Options>(modifier: Modifier<Options>): Modifier<Options> {
  return modifier;
}
