import type { Place } from '../errors.js';
import type { Plugins } from './plugins/plugins.js';
import type { Calibration, Evaluation, Output } from './types.generated.js';

export type { Calibration, Evaluation };

/** One modifier of the chain: its class and its options as the recipe gives them (spelling normalised, defaults not filled in). */
export type ModifierEntry = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** One thing to write. */
export type OutputSpec = Output;

/** A recipe in native form: plain data, equal to what `printRecipe` writes and `parseRecipe` reads back. */
export interface Recipe {
  version: 1;
  modifiers: readonly ModifierEntry[];
  calibration?: Calibration;
  outputs?: readonly OutputSpec[];
  evaluation?: Evaluation;
  plugins?: readonly string[];
  history?: readonly unknown[];
}

/** A recipe together with the text it came from, so that later findings (plan errors) still have a place. */
export interface ParsedRecipe {
  readonly recipe: Recipe;
  /** Those that the recipe names, once they are loaded. */
  readonly plugins: Plugins;
  /** The file as given, or a label for text. */
  readonly file: string;
  /** Where a value of the native form stands in the text: `locate(['modifiers', 0, 'GPTQModifier', 'ignore', 1])`; the nearest ancestor when it has no place of its own. */
  locate(path: readonly (string | number)[]): Place;
  /** A caret frame for a place that `locate` gave. */
  frame(place: Place): string;
}
