import type { ModuleReport } from '../report.js';
import { median } from '../../evaluation/statistics.js';
import type { CodedModule } from './damage.js';
import { placeOf } from '../places.js';

/** Errors of the modules of one kind in one layer; a kind has one per layer, or one per expert. */
export interface DepthPoint {
  readonly layer: number;
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** How the error of one kind of module goes with depth. */
export interface DepthSeries {
  /** `q_proj`, or as much of the path as tells it from the other kinds. */
  readonly label: string;
  /** By layer; layers whose module was left alone are missing. */
  readonly points: readonly DepthPoint[];
  /** The module with the largest relMSE, and where it is. */
  readonly worst: { readonly module: CodedModule; readonly layer: number };
  /** Most modules of the kind in a layer. */
  readonly perLayer: number;
  /** Index of the last layer of the stack that the kind belongs to. */
  readonly lastLayer: number;
}

/**
 * The coded modules by kind and layer, in the order of the model. A kind is the name without its numbers, so that experts of a layer fall
 * together. Modules outside layers and stacks of a single layer have no depth and are left out.
 */
export function depthSeries(coded: readonly CodedModule[], all: readonly ModuleReport[]): DepthSeries[] {
  const ends = new Map<string, number>();
  const kinds = new Map<string, { stack: string; layers: Map<number, CodedModule[]> }>();
  for (const { module } of all) {
    const at = placeOf(module);
    if (at === undefined) continue;
    ends.set(at.stack, Math.max(ends.get(at.stack) ?? 0, at.layer));
    const kind = `${at.stack}.*.${at.place}`;
    if (!kinds.has(kind)) kinds.set(kind, { stack: at.stack, layers: new Map() });
  }
  for (const module of coded) {
    const at = placeOf(module.module);
    if (at === undefined) continue;
    const { layers } = kinds.get(`${at.stack}.*.${at.place}`)!;
    const others = layers.get(at.layer);
    if (others) others.push(module);
    else layers.set(at.layer, [module]);
  }
  const present = [...kinds].filter(([, { stack, layers }]) => layers.size > 0 && ends.get(stack)! > 0);
  const labels = shortLabels(present.map(([kind]) => kind));
  return present.map(([kind, { stack, layers }]) => ({
    label: labels.get(kind)!,
    points: [...layers].sort(([a], [b]) => a - b).map(([layer, modules]) => pointOf(layer, modules)),
    worst: [...layers]
      .flatMap(([layer, modules]) => modules.map(module => ({ module, layer })))
      .reduce((a, b) => (b.module.relMSE > a.module.relMSE ? b : a)),
    perLayer: [...layers.values()].reduce((most, { length }) => Math.max(most, length), 0),
    lastLayer: ends.get(stack)!,
  }));
}

function pointOf(layer: number, modules: readonly CodedModule[]): DepthPoint {
  const errors = modules.map(({ relMSE }) => relMSE).sort((a, b) => a - b);
  return { layer, median: median(errors), lowest: errors[0]!, highest: errors.at(-1)! };
}

/** The shortest tail of each kind that no other kind ends in. */
function shortLabels(kinds: readonly string[]): Map<string, string> {
  const tails = (kind: string) => {
    const words = kind.split('.').filter(word => word !== '*');
    return words.map((_, i) => words.slice(words.length - 1 - i).join('.'));
  };
  const uses = new Map<string, number>();
  for (const kind of kinds) for (const tail of tails(kind)) uses.set(tail, (uses.get(tail) ?? 0) + 1);
  return new Map(kinds.map(kind => [kind, tails(kind).find(tail => uses.get(tail) === 1) ?? kind]));
}
