import { createReferenceEngine } from '../../src/runtime/engine/reference/engine.js';
import type { Value } from '../../src/runtime/model/graph.js';
import type { Slice } from '../../src/runtime/model/slice.js';
import type { HostArray } from '../../src/runtime/engine/engine.js';

export interface Given {
  readonly shape: readonly number[];
  readonly data: HostArray;
}

/** What the reference engine makes of a slice: each of its outputs. */
export async function evaluate(
  slice: Slice,
  arrays: Readonly<Record<Value, Given>>,
): Promise<Record<Value, { shape: readonly number[]; data: Float64Array }>> {
  const engine = createReferenceEngine();
  const tensors = Object.entries(arrays).map(([name, { data, shape }]) => [name, engine.tensor(data, shape)] as const);
  const outputs = await engine.compile(slice).run(Object.fromEntries(tensors));
  const read = Object.entries(outputs).map(
    async ([name, tensor]) => [name, { shape: tensor.shape, data: Float64Array.from(await tensor.read()) }] as const,
  );
  return Object.fromEntries(await Promise.all(read));
}
