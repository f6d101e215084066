import { absmax, type QParams, type Range } from '../numerics/grid.js';
import { float16Underflow, globalScale } from '../numerics/qparams.js';
import { weightObserver } from '../observers/table.js';
import type { Module, WeightedModule } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import type { ModuleScheme, Observation, Remark, Statistics } from './modifier.js';

/** A module whose weight becomes codes. */
export interface Member {
  readonly module: WeightedModule;
  readonly args: QuantizationArgs;
}

/** Modules to quantize, in order; those that share a global scale come together. */
export function families(
  modules: readonly Module[],
  schemes: ReadonlyMap<string, ModuleScheme>,
): Iterable<readonly Member[]> {
  const groups = new Map<string, Member[]>();
  for (const module of modules) {
    const args = schemes.get(module.name)?.weights;
    const { weight } = module;
    if (args == null || weight === undefined) continue;
    const key = args.strategy === 'tensor_group' ? (module.family ?? module.name) : module.name;
    groups.set(key, [...(groups.get(key) ?? []), { module: { ...module, weight }, args }]);
  }
  return groups.values();
}

/** G of a member, from the ranges of its whole family; null where its scheme has none. */
export function sharedScale({ module, args }: Member, ranges: readonly Range[]): QParams['globalScale'] {
  if (args.strategy !== 'tensor_group') return null;
  return globalScale(Math.max(...ranges.map(absmax)), module.weight.dtype);
}

/** A remark where scales are too small for float16. */
export function underflow({ module, args }: Member, range: Range, G: number | null): Remark[] {
  const rescued = module.weight.dtype === 'F16' ? float16Underflow(range, args, G) : 0;
  if (rescued === 0) return [];
  const message = `${rescued} scales are too small for float16 arithmetic and were computed in float32; they differ from the reference's on purpose`;
  return [{ module: module.name, message }];
}

/** E[x²] of the columns of a Linear's input, where the observer of its weight weighs errors by it. */
export function energyOf({ module, args }: Member): Observation[] {
  const weighs = module.classes[0] === 'Linear' && weightObserver(args.observer)?.weighs;
  return weighs ? [{ site: `${module.name}.input`, observer: 'energy' }] : [];
}

/** Takes it; undefined where errors are not weighed. */
export async function importanceOf(member: Member, statistics: Statistics): Promise<Float64Array | undefined> {
  const [energy] = energyOf(member);
  return energy && (await statistics.take(energy));
}
