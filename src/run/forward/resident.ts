import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import { tensorOf } from '../../runtime/model/dress.js';
import type { Decoder, Graph } from '../../runtime/model/graph.js';
import { stages } from '../../runtime/model/slice.js';
import type { Reader } from './reader.js';
import { weightLoader, type WeightLoader } from './supplies.js';

/** Weights that are loaded when they are first needed, and stay. */
export interface Resident {
  readonly load: WeightLoader;
  /** Frees them. */
  close(): void;
}

/** Loads weights that stay where the engine computes until they are freed. */
export function resident(from: { engine: Engine; reader: Reader }): Resident {
  const held = new Map<string, Tensor>();
  return {
    async load(prefix, names) {
      const loaded: Record<string, Tensor> = {};
      for (const name of names) {
        const { tensor, transposed } = tensorOf(prefix, name);
        const key = `${tensor} ${transposed}`;
        // a loader of its own, whose memory nothing overwrites
        const weight = held.get(key) ?? (await weightLoader(from)(prefix, [name]))[name]!;
        held.set(key, weight);
        loaded[name] = weight;
      }
      return loaded;
    },
    close() {
      held.forEach(tensor => tensor.dispose());
      held.clear();
    },
  };
}

/** Bytes of a model's weights in float32, without those of the embedding, of which a run needs a few rows. */
export async function residentBytes({ layers, head }: Decoder, reader: Reader): Promise<number> {
  const tensors = new Set([...layers, head].flatMap(tensorsOf));
  let elements = 0;
  for (const tensor of tensors) elements += (await reader.shape(tensor)).reduce((product, size) => product * size, 1);
  return elements * Float32Array.BYTES_PER_ELEMENT;
}

/** The tensors that a graph reads, those of its experts among them. */
function tensorsOf(graph: Graph): string[] {
  const experts = stages(graph, ['output']).flatMap(stage => {
    if (!('mixture' in stage)) return [];
    const { count, prefix } = stage.mixture.with;
    const names = stage.expert.inputs.filter(input => input !== 'x');
    return Array.from({ length: count }, (_, e) =>
      names.map(name => tensorOf(`${graph.prefix}${prefix}.${e}.`, name).tensor),
    ).flat();
  });
  return [...graph.weights.map(name => tensorOf(graph.prefix, name).tensor), ...experts];
}
