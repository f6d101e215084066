import type { Tensor } from '../../runtime/engine/engine.js';
import type { Graph, Op, Value } from '../../runtime/model/graph.js';
import { stages, type Slice } from '../../runtime/model/slice.js';
import type { Done, Forward } from './forward.js';
import { openStream, type Stream } from './stream.js';
import { floats, weightsOf, type RunInputs, type WeightLoader } from './supplies.js';

export interface LayerRun {
  readonly layer: Graph;
  /** Its id, for progress. */
  readonly part: string;
  /** Holds `hidden`, and then `output`. */
  readonly stream: Stream;
  readonly weights: WeightLoader;
  readonly tables: RunInputs;
  /** Values that are wanted besides `output`, and who takes them: theirs from then on. */
  readonly keep?: ReadonlyMap<Value, (tensor: Tensor, batch: number) => Promise<void>>;
  /** Whether `output` is wanted: without it only what leads to the kept values is computed. Default: true. */
  readonly push?: boolean;
}

type Place = Pick<Forward, 'engine' | 'batches' | 'storage' | 'tick'>;

/**
 * Runs a layer over all batches. A mixture of experts cuts it into stages: what later stages need of earlier ones lies in streams, so that one
 * expert's weights are in memory at a time, and are read once.
 */
export async function runLayer(place: Place, run: LayerRun): Promise<void> {
  const { layer, stream, keep, push = true } = run;
  const carried = new Map<Value, Stream>([['hidden', stream]]);
  const give = async (value: Value, batch: number, tensor: Tensor): Promise<void> => {
    const taker = keep?.get(value);
    if (taker !== undefined) return taker(tensor, batch);
    let to = value === 'output' ? stream : carried.get(value);
    if (to === undefined) {
      to = await openStream(place.engine, { ...place.storage, batches: place.batches, width: tensor.shape[1]! });
      carried.set(value, to);
    }
    await to.next(batch, tensor);
  };
  try {
    const parts = stages(layer, [...(push ? ['output'] : []), ...(keep?.keys() ?? [])]);
    for (const stage of parts) {
      const stagePlace = {
        ...place,
        tick: (done: Done) => place.tick?.({ ...done, share: done.share / parts.length }),
      };
      if ('slice' in stage) await runSlice(stagePlace, run, stage.slice, carried, give);
      else await runMixture(stagePlace, run, stage.mixture, stage.expert, carried, give);
    }
  } finally {
    for (const [value, own] of carried) if (value !== 'hidden') await own.close();
  }
}

type Give = (value: Value, batch: number, tensor: Tensor) => Promise<void>;

async function runSlice(
  { engine, batches, tick }: Place,
  { layer, part, weights, tables }: LayerRun,
  slice: Slice,
  carried: ReadonlyMap<Value, Stream>,
  give: Give,
): Promise<void> {
  const program = engine.compile(slice);
  const loaded = await weights(layer.prefix, weightsOf(layer, slice));
  for (const [b, batch] of batches.entries()) {
    const inputs = { ...loaded, ...tables(layer, batch) };
    for (const value of slice.inputs) {
      const from = carried.get(value);
      if (from !== undefined) inputs[value] = await from.read(b);
    }
    for (const [value, tensor] of Object.entries(await program.run(inputs))) await give(value, b, tensor);
    tick?.({ part, share: 1 });
  }
}

/** sum_e routes[:, e] expert_e(x), each expert for the tokens that chose it only. */
async function runMixture(
  { engine, batches, tick }: Place,
  { layer, part, weights }: LayerRun,
  { in: reads, out, with: mixture }: Op<'experts'>,
  expert: Slice,
  carried: ReadonlyMap<Value, Stream>,
  give: Give,
): Promise<void> {
  const program = engine.compile(expert);
  const names = expert.inputs.filter(input => input !== 'x');
  const x = carried.get(reads.x)!;
  const routes: (Float32Array | Float64Array)[] = [];
  for (const b of batches.keys()) {
    const tensor = await carried.get(reads.routes)!.read(b);
    routes.push((await tensor.read()).slice());
    const { shape } = await x.read(b);
    await give(out, b, engine.tensor(floats(engine, shape[0]! * shape[1]!), shape));
  }
  const sums = carried.get(out)!;
  for (let e = 0; e < mixture.count; e++) {
    const chosen = routes.map(weightsOfTokens => tokensOf(weightsOfTokens, mixture.count, e));
    tick?.({ part, share: batches.length / mixture.count });
    if (chosen.every(({ length }) => length === 0)) continue;
    const loaded = await weights(`${layer.prefix}${mixture.prefix}.${e}.`, names);
    for (const [b, tokens] of chosen.entries()) {
      if (tokens.length === 0) continue;
      const input = await x.read(b);
      const width = input.shape[1]!;
      const rows = engine.tensor(gatherRows(await input.read(), width, tokens), [tokens.length, width]);
      const { output } = await program.run({ ...loaded, x: rows });
      const y = await output!.read();
      const held = await sums.read(b);
      const sum = await held.read();
      tokens.forEach((token, i) => {
        const r = routes[b]![token * mixture.count + e]!;
        for (let c = 0; c < width; c++) sum[token * width + c]! += r * y[i * width + c]!;
      });
      const shape = held.shape;
      rows.dispose();
      output!.dispose();
      await sums.next(b, engine.tensor(sum, shape));
      tick?.({ part, share: 0 });
    }
  }
}

/** The tokens that expert e has a part in. */
function tokensOf(routes: Float32Array | Float64Array, experts: number, e: number): number[] {
  const tokens: number[] = [];
  for (let t = 0; t < routes.length / experts; t++) if (routes[t * experts + e] !== 0) tokens.push(t);
  return tokens;
}

function gatherRows<A extends Float32Array | Float64Array>(x: A, width: number, rows: readonly number[]): A {
  const out = x.slice(0, rows.length * width) as A;
  rows.forEach((row, i) => out.set(x.subarray(row * width, (row + 1) * width), i * width));
  return out;
}
