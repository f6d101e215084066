import type { Tensor } from '@tensorflow/tfjs-core';
import { TensorpressError } from '../../../errors.js';
import type { Op, OpName, Value } from '../../model/graph.js';
import type { HostArray } from '../engine.js';
import type { Definition } from '../reference/array.js';
import type { RunArrays } from './run.js';

/** An op for which tfjs has nothing, by its definition. */
export function onHost<Name extends OpName>(define: Definition<Name>) {
  return (op: Op<Name>, { backend: { tf }, host, shape }: RunArrays): Tensor => {
    const given = Object.entries(op.in).filter((entry): entry is [string, Value] => entry[1] !== undefined);
    const arrays = given.map(([key, name]) => [key, { name, shape: shape(name), data: Float64Array.from(host(name)) }]);
    const made = define(Object.fromEntries(arrays) as Parameters<Definition<Name>>[0], op.with);
    return tf.tensor(Float32Array.from(made.data), [...made.shape]);
  };
}

/** table[ids]: [rows, width], [T] -> [T, width] */
export function gathered(table: HostArray, rows: number, width: number, ids: HostArray): Float32Array {
  const out = new Float32Array(ids.length * width);
  ids.forEach((id, t) => {
    if (id < 0 || id >= rows) throw new TensorpressError('INTERNAL', `a table of ${rows} rows has no row ${id}`);
    out.set(table.subarray(id * width, (id + 1) * width), t * width);
  });
  return out;
}
