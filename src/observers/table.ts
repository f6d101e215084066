import { observerName } from '../schemes/observer-names.js';
import { covariance } from './covariance.js';
import { energy } from './energy.js';
import { hessian } from './hessian.js';
import { imatrixMse } from './imatrix-mse.js';
import { magnitude } from './magnitude.js';
import { memorylessMinmax, minmax, staticMinmax } from './minmax.js';
import { expandedMse, memorylessMse, mse } from './mse.js';
import type { Observer, ValueObserver, WeightObserver } from './observer.js';
import { percentile } from './percentile.js';

/** Those that a scheme may name, each with a range as its result. */
const OF_SCHEMES: readonly Observer[] = [
  memorylessMinmax,
  staticMinmax,
  minmax,
  memorylessMse,
  mse,
  expandedMse,
  imatrixMse,
  percentile,
];

/** Those that only modifiers ask for, by their exact names. */
const OF_ALGORITHMS: readonly Observer[] = [energy, magnitude, covariance, hessian];

/**
 * The observer of a weight's scheme by its name, however it is spelt; undefined for one that sees no weights.
 * @param name null where the scheme names none, which means memoryless_minmax
 * @param own those of plugins
 */
export function weightObserver(name: string | null, own: readonly Observer[] = []): WeightObserver | undefined {
  const given = name ?? 'memoryless_minmax';
  const ours = observerName(given) ?? given;
  return [...OF_SCHEMES, ...own].filter(seesWeights).find(({ names }) => names.includes(ours));
}

/**
 * What observes values under that name, for a scheme or for an algorithm; undefined where nothing does.
 * @param own those of plugins
 */
export function valueObserver(
  name: string,
  own: readonly Observer[] = [],
): ValueObserver<unknown, unknown> | undefined {
  const ours = observerName(name) ?? name;
  return [...OF_SCHEMES, ...OF_ALGORITHMS, ...own].find(({ names }) => names.includes(ours))?.values;
}

/** Names that only modifiers use. */
export function isAlgorithmObserver(name: string): boolean {
  return OF_ALGORITHMS.some(({ names }) => names.includes(name));
}

function seesWeights(observer: Observer): observer is WeightObserver {
  return observer.weightRange !== undefined;
}
