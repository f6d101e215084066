import type { Diagnostic } from '../errors.js';
import type { ModuleScheme, Modifier, Observation, ParameterSpec, PatternUse } from '../modifiers/modifier.js';
import type { Model, Part } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import type { Plugins } from './plugins/plugins.js';
import type { Recipe } from './recipe.js';

/** One modifier of the chain, bound to its options and to the schemes that it decides. */
export interface Step {
  readonly index: number;
  readonly modifier: Modifier;
  readonly options: Readonly<Record<string, unknown>>;
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  readonly patterns: readonly PatternUse[];
  /** Whether its edits change what later parts see. */
  readonly flows: boolean;
}

/** A source tensor that is written as it is, under the same name or, for a head that is separated from the embedding, its own. */
export interface Copy {
  readonly tensor: string;
  readonly as: string;
}

/** What one modifier does to one part. */
export interface StepWork {
  readonly step: Step;
  /** What the modifier's `plan` was given and its `edit` is to be given. */
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  /** Modules whose weight becomes codes. */
  readonly codes: readonly string[];
  /** Modules whose weight becomes another one. */
  readonly dense: readonly string[];
  /** Tensors that it adds to every checkpoint. */
  readonly parameters: readonly ParameterSpec[];
  /** What it wants to know of the part, as it is before this modifier. */
  readonly observe: readonly Observation[];
}

/** What happens to one part: what the modifiers do that have something to do here, in order, and what is copied. */
export interface PartWork {
  readonly part: Part;
  readonly steps: readonly StepWork[];
  readonly copies: readonly Copy[];
}

/** How the model leaves the run: what outputs lay their files out from. */
export interface Outcome {
  /** The scheme of every module that has one, in module order. */
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  /** `kv_cache_scheme` of the result: how every attention module keeps keys and values, where all do it alike. */
  readonly cache: QuantizationArgs | null;
  /** `tie_word_embeddings` of the result. */
  readonly tied: boolean;
  /** Modules whose stored tensors are read from another one: a tied head that got the embedding's scheme. */
  readonly joined: ReadonlyMap<string, string>;
}

/** A recipe compiled for a model: data, printed by `plan`, executed by `apply`. */
export interface Plan {
  readonly recipe: Recipe;
  readonly plugins: Plugins;
  readonly model: Model;
  readonly steps: readonly Step[];
  readonly parts: readonly PartWork[];
  readonly outcome: Outcome;
  readonly warnings: readonly Diagnostic[];
}
