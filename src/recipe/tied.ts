import type { ModuleScheme } from '../modifiers/modifier.js';
import { weightObserver } from '../observers/table.js';
import { sameArgs } from '../schemes/args.js';
import type { Step } from './plan.js';

/** The scheme of a module, and who makes its codes. */
type Treated = readonly [scheme: ModuleScheme | undefined, coder: Step | undefined];

/**
 * Whether two modules of one weight get the same codes, or none. Codes that depend on what flows through a module are never the same: an
 * embedding reads ids, a head hidden states.
 */
export function codesAlike([a, coderA]: Treated, [b, coderB]: Treated): boolean {
  if (!a?.weights || !b?.weights) return !a?.weights && !b?.weights;
  const { modifier, options, flows } = coderA!;
  const sameWork = modifier === coderB!.modifier && options['arithmetic'] === coderB!.options['arithmetic'];
  const byFlow = flows || weightObserver(a.weights.observer)?.weighs === true;
  return sameWork && !byFlow && sameArgs(a.weights, b.weights) && a.format === b.format;
}
