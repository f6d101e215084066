import { isRecord, oneOf, show, type Problem } from './problem.js';

/** A keyword argument of an observer: what is accepted, in words and as a test. */
interface Kwarg {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

const number = (test: (v: number) => boolean) => (value: unknown) => typeof value === 'number' && test(value);
const FRACTION: Kwarg = { expected: 'a number above 0, at most 1', accepts: number(v => v > 0 && v <= 1) };
const POSITIVE: Kwarg = { expected: 'a number above 0', accepts: number(v => v > 0 && v < Infinity) };
const COUNT: Kwarg = { expected: 'a whole number, at least 1', accepts: number(v => Number.isInteger(v) && v >= 1) };
const PERCENT: Kwarg = { expected: 'a number above 0, at most 100', accepts: number(v => v > 0 && v <= 100) };
/** The observer of a plugin checks its own. */
const ANYTHING: Kwarg = { expected: 'a value', accepts: () => true };
const FLAG: Kwarg = { expected: 'true or false', accepts: value => typeof value === 'boolean' };

const AVERAGE = { averaging_constant: FRACTION };
/** Every step of the search is one pass over the weights. */
const STEPS: Kwarg = {
  expected: 'a whole number from 1 to 10000',
  accepts: number(v => Number.isInteger(v) && v >= 1 && v <= 10000),
};
const SEARCH = { maxshrink: FRACTION, patience: COUNT, grid: STEPS, norm: POSITIVE, expand: POSITIVE };

/** The observers of compressed-tensors schemes, with the keys that their `observer_kwargs` may hold; `percentile` is tensorpress's own. */
export const OBSERVERS: Readonly<Record<string, Readonly<Record<string, Kwarg>>>> = {
  memoryless_minmax: {},
  static_minmax: {},
  minmax: AVERAGE,
  memoryless_mse: SEARCH,
  mse: { ...SEARCH, ...AVERAGE },
  nvfp4_expanded_mse: SEARCH,
  imatrix_mse: { ...SEARCH, strict: FLAG },
  percentile: { percentile: PERCENT },
};

/**
 * Observers that plugins bring, by name the keys that their `observer_kwargs` may hold; `any` where names have been checked before, or do not
 * matter.
 */
export type OtherObservers = 'any' | Readonly<Record<string, readonly string[]>>;

/** The name in our spelling: case does not matter, `-` equals `_`. Undefined when there is no such observer. */
export function observerName(name: string): string | undefined {
  const key = name.toLowerCase().replaceAll('-', '_');
  return Object.hasOwn(OBSERVERS, key) ? key : undefined;
}

/** What an observer takes; undefined where that is not known. */
function kwargsOf(name: string, others: OtherObservers): Readonly<Record<string, Kwarg>> | undefined {
  const ours = observerName(name);
  if (ours !== undefined) return OBSERVERS[ours];
  if (others === 'any' || !Object.hasOwn(others, name)) return undefined;
  return Object.fromEntries(others[name]!.map(key => [key, ANYTHING]));
}

/** What is wrong with the name of an observer; the path is empty. */
export function checkObserver(name: unknown, others: OtherObservers = {}): Problem[] {
  if (typeof name === 'string' && observerName(name) !== undefined) return [];
  if (typeof name === 'string' && (others === 'any' || Object.hasOwn(others, name))) return [];
  const candidates = [...Object.keys(OBSERVERS), ...(others === 'any' ? [] : Object.keys(others))];
  return [{ path: [], message: `there is no observer ${show(name)}`, hint: `use ${oneOf(candidates)}`, candidates }];
}

/** What is wrong with the `observer_kwargs` of a known observer; paths start at the kwargs. */
export function checkObserverKwargs(name: string, kwargs: unknown, others: OtherObservers = {}): Problem[] {
  if (!isRecord(kwargs)) return [{ path: [], message: `observer_kwargs must be a map, not ${show(kwargs)}` }];
  const allowed = kwargsOf(name, others);
  if (allowed === undefined) return [];
  return Object.entries(kwargs).flatMap(([key, value]): Problem[] => {
    const kwarg = Object.hasOwn(allowed, key) ? allowed[key] : undefined;
    if (kwarg === undefined) {
      const candidates = Object.keys(allowed);
      const hint = candidates.length > 0 ? `it takes ${candidates.join(', ')}` : 'it takes no observer_kwargs';
      return [{ path: [key], message: `observer ${name} has no option ${key}`, hint, candidates }];
    }
    if (kwarg.accepts(value)) return [];
    return [{ path: [key], message: `${key} must be ${kwarg.expected}, not ${show(value)}` }];
  });
}
