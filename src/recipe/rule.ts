import type { OtherObservers } from '../schemes/observer-names.js';
import type { Problem } from '../schemes/problem.js';
import type { Path } from './nodes.js';

/** A problem with the name of its kind; its path starts at the recipe. */
export type Broken = Problem & { readonly code: string };
export type Options = Readonly<Record<string, unknown>>;
export type Modifier = readonly [type: string, options: Options];

/** Whether the schema found nothing wrong at, above or below a path. */
export type IsSound = (path: Path) => boolean;

/** What a modifier's neighbours are; `open` when plugins may give schemes in ways that are not known here. */
export interface Context {
  readonly before: readonly Modifier[];
  readonly after: readonly Modifier[];
  readonly open: boolean;
  /** Those of plugins. */
  readonly observers: OtherObservers;
  readonly isSound: IsSound;
}
