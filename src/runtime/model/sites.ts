import { valueAt, type Decoder, type Graph, type Op, type Value } from './graph.js';

/** Where a site lies in the graph of its part. */
export interface SitePlace {
  readonly value: Value;
  /** Set where the value is one of an expert's own, which exists for the tokens that run through this expert. */
  readonly expert?: { readonly mixture: Op<'experts'>; readonly index: number };
}

/** Module names are those of tensors: `model.layers.3.mlp.down_proj`; an embedding's and a head's graph have no prefix. */
const SIDES = /^(.*)\.(input|output)$/;
const CACHED = /^(.*)\.(q|k|v)$/;

/**
 * Finds a site, see `Site` of the modifiers: `<module>.input`, `<module>.output`, `<attention>.q`, `.k`, `.v`, or any value by its name.
 * @throws Error when the part has no such site
 */
export function placeOf(graph: Pick<Graph, 'ops' | 'aliases' | 'prefix'>, site: string): SitePlace {
  if (!site.startsWith(graph.prefix)) throw new Error(`no site ${site}`);
  const name = site.slice(graph.prefix.length);
  const [, module = '', side] = SIDES.exec(name) ?? [];
  if (side !== undefined) {
    const found = linearIn(graph.ops, module);
    if (found !== undefined) return { value: side === 'input' ? found.in.x : found.out };
    const inside = expertOf(graph.ops, module);
    if (inside !== undefined) {
      const { mixture, index, linear } = inside;
      // what all experts read lies outside of them
      if (side === 'input' && linear.in.x === 'x') return { value: mixture.in.x };
      return { value: side === 'input' ? linear.in.x : linear.out, expert: { mixture, index } };
    }
  }
  const [, owner = '', vector] = CACHED.exec(name) ?? [];
  const attention = attentionIn(graph.ops);
  if (vector !== undefined && attention?.out === `${owner}.attention`)
    return { value: attention.in[vector as 'q' | 'k' | 'v'] };
  return { value: valueAt(graph, name) };
}

function attentionIn(ops: readonly Op[]): Op<'attention'> | undefined {
  return ops.find((op): op is Op<'attention'> => op.op === 'attention');
}

function linearIn(ops: readonly Op[], module: string): Op<'linear'> | undefined {
  // a tied head reads the embedding's weight
  const weights = [`${module}.weight`, ...(module === 'lm_head' ? ['model.embed_tokens.weight'] : [])];
  return ops.find((op): op is Op<'linear'> => op.op === 'linear' && weights.includes(op.in.weight));
}

function expertOf(ops: readonly Op[], module: string) {
  for (const mixture of ops) {
    if (mixture.op !== 'experts' || !module.startsWith(`${mixture.with.prefix}.`)) continue;
    const [, index, inside = ''] = /^(\d+)\.(.*)$/.exec(module.slice(mixture.with.prefix.length + 1)) ?? [];
    const linear = linearIn(mixture.with.body, inside);
    if (linear !== undefined && Number(index) < mixture.with.count) return { mixture, index: Number(index), linear };
  }
  return undefined;
}

/**
 * Columns of a value.
 * @param rowsOf rows of a weight, by its name in the graph
 */
export function widthOf(
  ops: readonly Op[],
  value: Value,
  given: Readonly<Record<Value, number>>,
  rowsOf: (weight: Value) => number,
): number {
  const known = given[value];
  if (known !== undefined) return known;
  const op = ops.find(({ out }) => out === value);
  if (op === undefined) throw new Error(`nothing computes ${value}`);
  const of = (from: Value) => widthOf(ops, from, given, rowsOf);
  switch (op.op) {
    case 'linear':
      return rowsOf(op.in.weight);
    case 'columns':
      return op.with.to - op.with.from;
    case 'attention':
      return op.with.heads * op.with.headDim;
    case 'gated':
      return of(op.in.gate);
    case 'add':
      return of(op.in.a);
    case 'gather':
    case 'log_sum_exp':
    case 'divergence':
    case 'pick':
    case 'range':
    case 'squares':
    case 'magnitudes':
    case 'gram':
      throw new Error(`${value} is no value of a layer`);
    default:
      return of(op.in.x);
  }
}

/** Elements of a head, for what attention reads: [T, heads headDim]. */
export function headDimOf({ ops }: Pick<Graph, 'ops'>): number | undefined {
  return attentionIn(ops)?.with.headDim;
}

/** The graph of a part; undefined for parts through which no hidden states flow into Linears. */
export function graphOf({ layers, head }: Pick<Decoder, 'layers' | 'head'>, part: string): Graph | undefined {
  if (part === 'head') return head;
  const [, index] = /^layers\.(\d+)$/.exec(part) ?? [];
  return index === undefined ? undefined : layers[Number(index)];
}
