import type { Graph, Op, Value } from './graph.js';

/** What a layer with a past reads besides its inputs: keys and values as `stored` names them, and the positions [P] of their tokens. */
export const PAST = { k: 'past.k', v: 'past.v', positions: 'past.positions' } as const;

/** Names of the keys and values that a layer's attention reads, [T, kvHeads headDim] each: rotated, and quantized where a checkpoint asks for it. */
export function stored(graph: Pick<Graph, 'ops'>): { readonly k: Value; readonly v: Value } {
  const { k, v } = graph.ops[attentionOf(graph)]!.in as Op<'attention'>['in'];
  return { k, v };
}

/** A layer whose attention sees the tokens before those of a run, too: it reads `PAST` as well, and sites keep their names. */
export function withPast(graph: Graph): Graph {
  const at = attentionOf(graph);
  const attention = graph.ops[at] as Op<'attention'>;
  const read = { ...attention.in, pastK: PAST.k, pastV: PAST.v, pastPositions: PAST.positions };
  return { ...graph, ops: graph.ops.with(at, { ...attention, in: read }) };
}

/** Where the attention of a layer stands. */
function attentionOf({ ops }: Pick<Graph, 'ops'>): number {
  const at = ops.findIndex(({ op }) => op === 'attention');
  if (at < 0) throw new Error('a graph without attention has no past');
  return at;
}
