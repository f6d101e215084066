import { minmax } from './minmax.js';
import { expandedMse, mse } from './mse.js';
import type { Observer } from './observer.js';

const OBSERVERS: readonly Observer[] = [minmax, mse, expandedMse];

/** The observer of that name, undefined for one whose work does not exist (yet). */
export function weightObserver(name: string): Observer | undefined {
  return OBSERVERS.find(observer => observer.names.includes(name));
}
