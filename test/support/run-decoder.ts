import type { Engine, Tensor } from '../../src/runtime/engine/engine.js';
import { widen } from '../../src/numerics/dtypes.js';
import type { Decoder, Graph, Op, Value } from '../../src/runtime/model/graph.js';
import type { Model } from '../../src/runtime/model/model.js';
import { ropeTable } from '../../src/runtime/model/rope.js';
import { slice, stages, type Slice } from '../../src/runtime/model/slice.js';

type Numbers = Float32Array | Float64Array;
type Values = Record<Value, Tensor>;

export interface RunDecoder {
  readonly model: Model;
  readonly decoder: Decoder;
  readonly engine: Engine;
  /** Of the rope tables. */
  readonly precision: 'float32' | 'float64';
}

/**
 * One sequence from position 0 through a whole model that fits in memory, every expert for every token.
 * @returns logits [S, vocabulary]
 */
export async function runDecoder(run: RunDecoder, ids: readonly number[]): Promise<Numbers> {
  const { output } = await valuesIn(run, ids, run.decoder.head, ['output']);
  return output!.read();
}

/** Values inside of a layer or of the head, for one sequence from position 0: [S, C] each. */
export async function valuesIn(
  { model, decoder, engine, precision }: RunDecoder,
  ids: readonly number[],
  graph: Graph,
  wanted: readonly Value[],
): Promise<Values> {
  const length = ids.length;
  const positions = Int32Array.from(ids, (_, i) => i);
  const run: Values = {
    positions: engine.tensor(positions, [length]),
    ids: engine.tensor(Int32Array.from(ids), [length]),
  };
  for (const [name, rope] of Object.entries(decoder.ropes)) {
    const { cos, sin } = ropeTable(rope, positions, precision);
    run[`${name}.cos`] = engine.tensor(cos, [length, rope.dim / 2]);
    run[`${name}.sin`] = engine.tensor(sin, [length, rope.dim / 2]);
  }

  const context = { model, engine };
  let hidden = (await runPart(decoder.embedding, run, context))['output']!;
  for (const layer of decoder.layers) {
    if (layer === graph) break;
    hidden = (await runPart(layer, { ...run, hidden }, context))['output']!;
  }
  return runPart(graph, { ...run, hidden }, context, wanted);
}

type Context = Pick<RunDecoder, 'model' | 'engine'>;

/** Values of a graph. */
async function runPart(
  graph: Graph,
  given: Values,
  context: Context,
  wanted: readonly Value[] = ['output'],
): Promise<Values> {
  const values = { ...given };
  for (const name of graph.weights) values[name] = await load(`${graph.prefix}${name}`, context);
  for (const stage of stages(
    graph,
    wanted.filter(value => value !== 'hidden'),
  )) {
    if ('slice' in stage) Object.assign(values, await context.engine.compile(stage.slice).run(values));
    else values[stage.mixture.out] = await mix(stage.mixture, stage.expert, graph.prefix, values, context);
  }
  return values;
}

/** Values inside of one expert, for all tokens of x. */
export async function valuesInExpert(
  context: Context,
  { prefix, mixture, index }: { prefix: string; mixture: Op<'experts'>; index: number },
  x: Tensor,
  wanted: readonly Value[],
): Promise<Values> {
  return runExpert(
    slice(mixture.with.body, wanted, new Set(['x'])),
    `${prefix}${mixture.with.prefix}.${index}.`,
    x,
    context,
  );
}

async function runExpert(expert: Slice, prefix: string, x: Tensor, context: Context): Promise<Values> {
  const inputs: Values = { x };
  for (const name of expert.inputs) if (name !== 'x') inputs[name] = await load(`${prefix}${name}`, context);
  return { x, ...(await context.engine.compile(expert).run(inputs)) };
}

async function mix(
  op: Op<'experts'>,
  expert: Slice,
  prefix: string,
  values: Values,
  context: Context,
): Promise<Tensor> {
  const [x, routes] = [values[op.in.x]!, await values[op.in.routes]!.read()];
  const [tokens, width] = x.shape as [number, number];
  const { count } = op.with;
  const sum = new Float64Array(tokens * width);
  for (let e = 0; e < count; e++) {
    const { output } = await runExpert(expert, `${prefix}${op.with.prefix}.${e}.`, x, context);
    (await output!.read()).forEach((y, i) => (sum[i]! += routes[Math.floor(i / width) * count + e]! * y));
  }
  return context.engine.tensor(sum, [tokens, width]);
}

async function load(name: string, { model, engine }: Context): Promise<Tensor> {
  const { dtype, shape } = model.source.tensors.get(name)!;
  return engine.tensor(widen(await model.source.read(name), dtype), shape);
}
