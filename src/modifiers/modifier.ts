import type { Codes, QParams, Range } from '../numerics/grid.js';
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

/** What a modifier does to one part. */
export interface PartPlan {
  /** Modules whose weight becomes codes. */
  readonly codes: readonly string[];
}

/**
 * A change to a part, applied by the run and encoded by every output.
 * `codes: 'nearest'` means the codes of round to nearest on the given parameters: the run makes them row by row, so that no weight is held whole.
 */
export interface CodesEdit extends QParams {
  readonly kind: 'codes';
  readonly module: string;
  readonly codes: Codes | 'nearest';
  readonly arithmetic: 'reference' | 'exact';
}
export type Edit = CodesEdit;

/** What the run lends to a modifier: the heavy functions, run where they are fastest. */
export interface Compute {
  /**
   * Range of every scale of a module's weight under its scheme's weight observer.
   * @throws TensorpressError TENSOR when the weight holds NaN or infinity
   */
  weightRange(module: Module, args: QuantizationArgs): Promise<Range>;
}

/** A line for the report: a fallback, a skip, a figure that belongs to a module. */
export interface Remark {
  readonly module?: string;
  readonly message: string;
}

export interface EditContext<Options> {
  readonly options: Options;
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  readonly compute: Compute;
  readonly emit: (edit: Edit) => Promise<void>;
  readonly report: (remark: Remark) => void;
  readonly signal: AbortSignal;
}

export interface Modifier<Options = never> {
  /** The name in a recipe. */
  readonly type: string;
  /** Its options, as a file of `schema/modifiers/`, or a path relative to the modifier's own file. */
  readonly schema: string;
  /** Which modules get which scheme; asked of all modifiers before any of them plans. */
  schemes?(options: Options, model: Model): Claims;
  /** What it will do to a part. */
  plan(options: Options, part: Part, schemes: ReadonlyMap<string, ModuleScheme>): PartPlan;
  /** Does it: one edit per tensor, each emitted as soon as it is known. */
  edit(part: Part, context: EditContext<Options>): Promise<void>;
}

/** Declares a modifier; the identity, so that its options are typed where it is written. */
export function defineModifier<Options>(modifier: Modifier<Options>): Modifier<Options> {
  return modifier;
}
