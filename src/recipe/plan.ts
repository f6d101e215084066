import type { Diagnostic } from '../errors.js';
import type { ModuleScheme, Modifier, PatternUse } from '../modifiers/modifier.js';
import type { Model, Part } from '../runtime/model/model.js';
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

/** What happens to one part: which modules become codes, by which step, and what is copied. */
export interface PartWork {
  readonly part: Part;
  readonly steps: readonly { readonly step: Step; readonly codes: readonly string[] }[];
  readonly copies: readonly Copy[];
}

/** How the model leaves the run: what outputs lay their files out from. */
export interface Outcome {
  /** The scheme of every module that has one, in module order. */
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  /** `tie_word_embeddings` of the result. */
  readonly tied: boolean;
  /** Modules whose stored tensors are read from another one: a tied head that got the embedding's scheme. */
  readonly joined: ReadonlyMap<string, string>;
}

/** A recipe compiled for a model: data, printed by `plan`, executed by `apply`. */
export interface Plan {
  readonly recipe: Recipe;
  readonly model: Model;
  readonly steps: readonly Step[];
  readonly parts: readonly PartWork[];
  readonly outcome: Outcome;
  readonly warnings: readonly Diagnostic[];
}
