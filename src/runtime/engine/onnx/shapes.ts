import type { Op, Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import type { AttentionOptions } from './attention.js';
import type { InputShape } from './lower.js';
import type { OnnxTensor } from './tensor.js';

/** What a session is compiled for. */
export interface Specialization {
  readonly key: string;
  readonly inputs: ReadonlyMap<Value, InputShape>;
  readonly options: Omit<AttentionOptions, 'device'>;
}

/**
 * The shapes that a session for these inputs is made for. What grows with each step of decoding, the past, stays open, so that one session
 * serves all steps.
 */
export function specialize(slice: Slice, inputs: ReadonlyMap<Value, OnnxTensor>): Specialization {
  const attentions = slice.ops.filter((op): op is Op<'attention'> => op.op === 'attention');
  const open = new Map(attentions.flatMap(growing));
  const shapes = new Map<Value, InputShape>();
  for (const [name, { type, shape }] of inputs) {
    shapes.set(name, { type, shape: shape.map((dim, axis) => (open.get(name) === axis ? undefined : dim)) });
  }
  const keys = Math.max(0, ...attentions.map(op => keysOf(op, inputs)));
  const ordered = attentions.every(op => growOnly(op, inputs));
  return { key: JSON.stringify([[...shapes], keys, ordered]), inputs: shapes, options: { keys, ordered } };
}

/** Arrays of the past, and the axis along which they grow. */
function growing({ in: arrays }: Op<'attention'>): [Value, number][] {
  const { pastK, pastV, pastPositions, sealedK, sealedV, sealed } = arrays;
  if (pastPositions === undefined) return [];
  const first = [pastK, pastV, pastPositions, sealedK, sealedV].flatMap(value => (value === undefined ? [] : [value]));
  return [
    ...first.map((value): [Value, number] => [value, 0]),
    ...(sealed === undefined ? [] : [[sealed, 1] as [Value, number]]),
  ];
}

/** Number of keys; with a past the next power of two, for which more than one step can be made ready. */
function keysOf({ in: { positions, pastPositions } }: Op<'attention'>, inputs: ReadonlyMap<Value, OnnxTensor>): number {
  const S = inputs.get(positions)!.shape[0]!;
  if (pastPositions === undefined || S === 1) return S;
  return 2 ** Math.ceil(Math.log2(S + inputs.get(pastPositions)!.shape[0]!));
}

function growOnly(
  { in: { positions, pastPositions } }: Op<'attention'>,
  inputs: ReadonlyMap<Value, OnnxTensor>,
): boolean {
  let last = -Infinity;
  for (const name of pastPositions === undefined ? [positions] : [pastPositions, positions]) {
    for (const position of inputs.get(name)!.data!) {
      if (position <= last) return false;
      last = position;
    }
  }
  return true;
}
