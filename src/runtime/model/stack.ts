import type { TensorInfo } from '../../formats/source.js';
import { outsideAt } from './infer.js';

/** The list of decoder layers. */
export interface Stack {
  /** Path of the list: `model`, `layers`. Undefined for a model without layers. */
  readonly path: readonly string[] | undefined;
  /** How many of them count: those beyond (layers that predict further tokens) belong to no decoder. Undefined: all. */
  readonly layers: number | undefined;
}

const NUMBER = /^\d{1,6}$/;

/** Finds the decoder layers: of all lists of numbered modules in the language model the one with the most bytes. */
export function findStack(tensors: Iterable<TensorInfo>): readonly string[] | undefined {
  const bytes = new Map<string, number>();
  for (const tensor of tensors) {
    const path = tensor.name.split('.').slice(0, -1);
    const at = path.findIndex(segment => NUMBER.test(segment));
    if (at < 1 || outsideAt(path) >= 0) continue;
    const list = path.slice(0, at).join('.');
    bytes.set(list, (bytes.get(list) ?? 0) + tensor.bytes);
  }
  const [largest] = [...bytes].sort(([, a], [, b]) => b - a);
  return largest?.[0].split('.');
}

/** The number of layers that the file holds something of. */
export function layersIn(tensors: Iterable<TensorInfo>, list: readonly string[]): number {
  const indices = new Set<number | undefined>();
  for (const { name } of tensors) indices.add(layerIndex(name.split('.'), list));
  indices.delete(undefined);
  return indices.size;
}

/** The layer that a path leads into, undefined outside of all layers. */
export function layerIndex(path: readonly string[], list: readonly string[] | undefined): number | undefined {
  if (list === undefined || path.length <= list.length || !list.every((segment, i) => path[i] === segment))
    return undefined;
  const index = path[list.length]!;
  return NUMBER.test(index) ? Number(index) : undefined;
}

/** Where a module belongs: to a layer, to what comes before or after them, or to none of this, and then why. */
export type Place = { readonly part: string } | { readonly part: 'other'; readonly reason: 'outside' | 'beyond' };

/** @param after the walk through the tree has left the layers behind */
export function placeOf(path: readonly string[], { path: list, layers }: Stack, after: boolean): Place {
  if (outsideAt(path) >= 0) return { part: 'other', reason: 'outside' };
  const layer = layerIndex(path, list);
  if (layer !== undefined) {
    return layers === undefined || layer < layers ? { part: `layers.${layer}` } : { part: 'other', reason: 'beyond' };
  }
  // another numbered list is a second model: an encoder
  if (path.some(segment => NUMBER.test(segment))) return { part: 'other', reason: 'outside' };
  return { part: after ? 'head' : 'embedding' };
}
