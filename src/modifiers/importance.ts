import { weightObserver } from '../observers/table.js';
import type { Module } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import type { Observation } from './modifier.js';

/**
 * The energy E[x_c²] of a module's input, which some weight observers weigh errors by; undefined where none is wanted. An embedding reads
 * ids, so its columns have none.
 */
export function energyOf({ name, classes }: Module, args: QuantizationArgs): Observation | undefined {
  if (classes[0] === 'Embedding' || weightObserver(args.observer ?? '')?.weighs !== true) return undefined;
  return { site: `${name}.input`, observer: 'energy' };
}
