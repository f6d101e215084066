import type { Reduction, ValueSpec } from '../../src/observers/observer.js';
import { valueObserver } from '../../src/observers/table.js';
import type { Op } from '../../src/runtime/model/graph.js';
import { slice } from '../../src/runtime/model/slice.js';
import { evaluate } from './evaluate.js';

/** A batch of a value: x[T, C], of which whole rows make sequences of equal length. */
export interface Batch {
  readonly x: Float32Array;
  readonly sequences?: number;
}

export function valueSpec(columns: number, more: Partial<ValueSpec> = {}): ValueSpec {
  return { columns, size: columns, args: null, dtype: 'F32', options: {}, ...more };
}

/** What an observer makes of batches of a value, reduced by the reference engine. */
export async function observeValue<Result>(name: string, batches: readonly Batch[], spec: ValueSpec): Promise<Result> {
  const observer = valueObserver(name)!;
  const state = observer.init(spec);
  const reductions = observer.reduce(spec);
  for (const { x, sequences = 1 } of batches) {
    const tokens = x.length / spec.columns;
    const reduced = await Promise.all(reductions.map(reduction => reduce(reduction, x, [tokens, spec.columns])));
    observer.update(state, reductions.length === 0 ? [x] : reduced, { tokens, sequences }, spec);
  }
  return observer.finish(state, spec) as Result;
}

async function reduce(reduction: Reduction, data: Float32Array, shape: readonly number[]): Promise<Float64Array> {
  const op = { ...reduction, in: { x: 'x' }, out: 'y' } as Op;
  return (await evaluate(slice([op], ['y']), { x: { shape, data } }))['y']!.data;
}

/** The rows of x[T, C] cut into batches of these numbers of rows; the last takes the rest. */
export function cut(x: Float32Array, columns: number, ...rows: readonly number[]): Batch[] {
  const ends = rows.reduce<number[]>((all, n) => [...all, Math.min((all.at(-1) ?? 0) + n * columns, x.length)], []);
  return [...ends, x.length]
    .map((end, i, all) => ({ x: x.slice(all[i - 1] ?? 0, end) }))
    .filter(batch => batch.x.length > 0);
}
