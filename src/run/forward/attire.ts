import { TensorpressError } from '../../errors.js';
import { outside, type Dress, type Rotation } from '../../runtime/model/dress.js';
import type { Model } from '../../runtime/model/model.js';
import { normalizeArgs, type QuantizationArgs } from '../../schemes/args.js';
import { quantizesInputsOnly } from '../../schemes/scheme.js';
import { FOLDED, storesCodes, transformEntries, unreadable, type Schemes, type TransformEntry } from '../compressed.js';
import type { Reader } from './reader.js';

type Json = Readonly<Record<string, unknown>>;
type Spot = 'input' | 'output' | 'q' | 'k';

const SPOTS: Readonly<Record<string, Spot>> = { input: 'input', output: 'output', q_attn: 'q', k_cache: 'k' };

/** A tied head reads the embedding's weight, but is a Linear of its own. */
const linearOf = (module: string): string => (module === 'model.embed_tokens' ? 'lm_head' : module);

/**
 * What config.json of a compressed-tensors checkpoint asks of its activations.
 * @throws TensorpressError MODEL when it cannot be understood, NOT_BUILT when no engine runs it
 */
export async function dressOf(model: Model, quantization: Json, schemes: Schemes, reader: Reader): Promise<Dress> {
  const { tensors } = model.source;
  const cache = cacheScheme(model, quantization);
  const rotations = readRotations(model, quantization);
  const classes = new Map(model.modules.map(module => [module.name, module.classes]));
  const shapes = new Map<string, readonly number[]>();
  for (const { name, classes: own } of model.modules) {
    const weight = `${name}.weight`;
    if (!rotations.some(rotation => rotation.selects(name, own))) continue;
    if (schemes.compressed.has(name) || tensors.has(weight)) shapes.set(name, await reader.shape(weight));
  }
  return {
    has: tensor => tensors.has(tensor),
    linear(module) {
      const name = linearOf(module);
      const scheme = schemes.of(name);
      if (storesCodes(scheme) && !schemes.compressed.has(module) && tensors.has(`${module}.weight`)) {
        const tensor = `${module}.weight`;
        throw unreadable(`${tensor} holds no codes, but quantization_config has a scheme for ${name}`, model, tensor);
      }
      const { input_activations: input, output_activations: output } = scheme ?? {};
      return { ...(input == null ? {} : { input }), ...(output == null ? {} : { output }) };
    },
    attention(module) {
      // a group for the attention module quantizes its queries, too, and keys and values with them; one with weights is for its Linears
      const scheme = schemes.of(module);
      const group = (scheme !== undefined && quantizesInputsOnly(scheme) && scheme.input_activations) || undefined;
      const stored = cache ?? group;
      return {
        ...(group === undefined ? {} : { q: group }),
        ...(stored === undefined ? {} : { k: stored, v: stored }),
      };
    },
    transforms(module, at) {
      const name = linearOf(module);
      const [rows, columns] = shapes.get(module) ?? [];
      const width = at === 'input' ? columns : at === 'output' ? rows : undefined;
      return rotations
        .filter(rotation => rotation.at === at && rotation.selects(name, classes.get(name) ?? []))
        .map(rotation => rotation.of(name, width));
    },
  };
}

function cacheScheme(model: Model, { kv_cache_scheme: given }: Json): QuantizationArgs | undefined {
  if (given == null) return undefined;
  const { args, problems } = normalizeArgs(given, { observers: 'any' });
  if (args === undefined) throw unreadable(`quantization_config.kv_cache_scheme: ${problems[0]!.message}`, model);
  if (args.dynamic !== false) {
    throw new TensorpressError(
      'NOT_BUILT',
      'a dynamic kv_cache_scheme has no scales of its own, and no engine here runs it',
      {
        place: { file: `${model.folder}/config.json` },
        hint: 'how a cache without stored scales is quantized is up to the reader; evaluate the checkpoint without kv_cache_scheme',
      },
    );
  }
  return args;
}

/** Entries of transform_config that act while the model runs. */
function readRotations(model: Model, quantization: Json) {
  return transformEntries(model, quantization)
    .filter(({ location }) => !FOLDED.includes(location))
    .map(entry => rotation(model, entry));
}

function rotation(model: Model, { name, type, block, location, inverse, selects }: TransformEntry) {
  const { tensors } = model.source;
  const at = SPOTS[location];
  if (at === undefined) throw unreadable(`transform_config: ${location} is no place that is known`, model);
  const orthogonal = type === 'hadamard' || type === 'random-hadamard';
  if (inverse && !orthogonal) {
    throw new TensorpressError('NOT_BUILT', `transform ${name} of type ${String(type)} is inverted while it runs`, {
      place: { file: `${model.folder}/config.json` },
      hint: 'only Hadamard transforms, whose inverse is their transpose, run here',
    });
  }
  const suffix = `.${name}_${location}.weight`;
  // modules that share a matrix of their size find it under the first of them
  const shared = [...tensors.values()].filter(tensor => tensor.name.endsWith(suffix));
  return {
    at,
    selects: (module: string, classes: readonly string[]) => selects({ name: module, classes }),
    of(module: string, width: number | undefined): Rotation {
      const size = block ?? width;
      const own = tensors.get(module + suffix);
      const matrix = own ?? shared.find(({ shape }) => size === undefined || shape[0] === size);
      if (matrix === undefined) {
        throw new TensorpressError('TENSOR', `${module + suffix} is missing, which transform_config asks for`, {
          place: { tensor: module + suffix },
          hint: 'the checkpoint is incomplete',
        });
      }
      const factor = orthogonal ? 1 / Math.sqrt(matrix.shape[0]!) : 1;
      return { matrix: outside(matrix.name, inverse), factor };
    },
  };
}
