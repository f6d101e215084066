import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import { tensorOf } from '../../runtime/model/dress.js';
import type { Decoder, Graph, Value } from '../../runtime/model/graph.js';
import { ropeTable } from '../../runtime/model/rope.js';
import type { Slice } from '../../runtime/model/slice.js';
import type { Batch } from './batches.js';
import type { Reader } from './reader.js';

/** The weights among the inputs of a slice. */
export function weightsOf({ weights }: Graph, { inputs }: Slice): Value[] {
  const known = new Set(weights);
  return inputs.filter(input => known.has(input));
}

/** Zeros in what the engine computes with. */
export function floats({ precision }: Pick<Engine, 'precision'>, length: number): Float32Array | Float64Array {
  return precision === 'float64' ? new Float64Array(length) : new Float32Array(length);
}

export type WeightLoader = (prefix: string, names: readonly Value[]) => Promise<Record<Value, Tensor>>;

/**
 * Loads weights into memory that the next weights of the same name and size overwrite: a part's weights are gone when those of the next are
 * there.
 */
export function weightLoader({ engine, reader }: { engine: Engine; reader: Reader }): WeightLoader {
  const memory = new Map<string, Float32Array>();
  const held = new Map<Value, Tensor>();
  return async (prefix, names) => {
    const loaded: Record<Value, Tensor> = {};
    for (const name of names) {
      const { tensor, transposed } = tensorOf(prefix, name);
      const shape = await reader.shape(tensor);
      const length = shape.reduce((product, size) => product * size, 1);
      const key = `${name} ${length}`;
      const out = memory.get(key) ?? new Float32Array(length);
      memory.set(key, out);
      held.get(name)?.dispose();
      await reader.read(tensor, { out });
      // scales may have more dimensions than they need: [heads, 1, 1]
      const data = transposed ? transpose(out, shape[0]!) : out;
      const tensorHeld = engine.tensor(data, name.endsWith('scale') || name.endsWith('zero_point') ? [length] : shape);
      held.set(name, tensorHeld);
      loaded[name] = tensorHeld;
    }
    return loaded;
  };
}

function transpose(x: Float32Array, rows: number): Float32Array {
  const columns = x.length / rows;
  return x.map((_, i) => x[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** What comes with each run of a graph beside its weights and what flows through it. */
export type RunInputs = (graph: Graph, batch: Batch) => Record<Value, Tensor>;

/** Lengths whose tables are kept: rows of a file may have any, and the tables of all of them would be as large as a model. */
const TABLES = 16;

/** What comes with each run of a layer: positions 0 ... S - 1 and the tables of their angles; those of the last TABLES lengths are kept. */
export function ropeTables(engine: Engine, decoder: Pick<Decoder, 'ropes'>): RunInputs {
  const made = new Map<string, Record<Value, Tensor>>();
  return (graph, { length }) => {
    const key = `${length} ${graph.ropes.join(' ')}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const [oldest] = made.keys();
    if (made.size >= TABLES && oldest !== undefined) {
      Object.values(made.get(oldest)!).forEach(tensor => tensor.dispose());
      made.delete(oldest);
    }
    const positions = Int32Array.from({ length }, (_, i) => i);
    const tables = tablesAt(engine, decoder, graph, positions);
    made.set(key, tables);
    return tables;
  };
}

/** Positions of a run, and the tables of their angles: the caller's own. */
export function tablesAt(
  engine: Engine,
  { ropes }: Pick<Decoder, 'ropes'>,
  graph: Pick<Graph, 'ropes'>,
  positions: Int32Array,
): Record<Value, Tensor> {
  const { length } = positions;
  const tables: Record<Value, Tensor> = { positions: engine.tensor(positions, [length]) };
  for (const name of graph.ropes) {
    const { cos, sin } = ropeTable(ropes[name]!, positions, engine.precision);
    const shape = [length, cos.length / length];
    tables[`${name}.cos`] = engine.tensor(cos, shape);
    tables[`${name}.sin`] = engine.tensor(sin, shape);
  }
  return tables;
}
