import { observerName } from '../schemes/observer-names.js';
import { minmax } from './minmax.js';
import { expandedMse, mse } from './mse.js';
import type { Observer } from './observer.js';

const OBSERVERS: readonly Observer[] = [minmax, mse, expandedMse];

/** The observer of that name, however it is spelt; undefined for one whose work does not exist (yet). */
export function weightObserver(name: string): Observer | undefined {
  const ours = observerName(name);
  return OBSERVERS.find(observer => observer.names.some(known => known === ours));
}
