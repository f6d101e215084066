import { TensorpressError } from '../../errors.js';
import { printable } from '../../formats/printable.js';
import type { Source } from '../../formats/source.js';
import type { ModelDType } from '../../numerics/dtypes.js';
import { ARCHITECTURES, type Architecture } from './architecture.js';
import { arrange, grow, hang, missing, pruneFusedExperts } from './branch.js';
import type { ModelConfig } from './config.js';
import type { Kind } from './infer.js';
import type { Model, Module } from './model.js';
import { listModules } from './modules.js';
import { findStack, layersIn } from './stack.js';
import { findTie } from './tie.js';
import { patterns } from './untouched.js';

export interface BuildModel {
  readonly folder: string;
  readonly name: string;
  readonly config: ModelConfig;
  readonly source: Source;
  readonly companions: readonly string[];
}

/**
 * Puts together what config.json, the architecture's table and the tensors say of a model.
 * @throws TensorpressError MODEL when the weights lack a tensor that the architecture needs
 */
export async function buildModel({ folder, name, config, source, companions }: BuildModel): Promise<Model> {
  const { tensors } = source;
  if (tensors.size === 0) throw incomplete('the weights hold no tensors');
  const { architecture, quantization } = config;
  const quantized = quantization !== undefined;
  const table = ARCHITECTURES.get(architecture);
  const known =
    table !== undefined && [...tensors.keys()].some(tensor => tensor.startsWith('model.layers.')) ? table : undefined;

  const path = known ? ['model', 'layers'] : findStack(tensors.values());
  const stack = { path, layers: config.layers };
  const root = grow(known && declaredTree(known, config, source));
  hang(root, tensors.values());
  pruneFusedExperts(root);
  const { tie, note } = await findTie({ root, stack, architecture, flag: config.tied ?? known?.tied, source });
  if (!quantized) checkComplete(missing(root, 'weight').filter(tensor => tensor !== `${tie?.head}.weight`));
  arrange(root);

  const { modules, parts, untouched, inferred } = listModules(root, { architecture, stack, tie, quantized });
  const biases = quantized ? [] : missing(root, 'bias');
  const notes = [
    ...(quantized
      ? [`the weights are quantized already (${printable(String(quantization['quant_method']), 40)})`]
      : []),
    ...inferenceNote(inferred, architecture, { named: table !== undefined, known: known !== undefined }),
    ...(biases.length > 0
      ? [`${biases.length} biases that config.json asks for are not in the weights (${patterns(biases)})`]
      : []),
    ...(note === undefined ? [] : [note]),
    ...untouched,
  ];
  return {
    folder,
    name,
    config: config.raw,
    configText: config.json,
    architecture,
    known: known !== undefined,
    notes,
    dtype: commonDType(modules) ?? config.dtype ?? 'F32',
    tied: tie !== undefined,
    tiedByConfig: (tie ?? note) !== undefined && (config.tied ?? known?.tied ?? false),
    quantized,
    source,
    modules,
    parts,
    companions,
  };
}

function declaredTree(table: Architecture, config: ModelConfig, { tensors }: Source) {
  const held = layersIn(tensors.values(), ['model', 'layers']);
  const layers = config.layers ?? held;
  if (layers > held) throw incomplete(`config.json tells of ${layers} layers, but the weights hold ${held}`);
  // one expert stands for all where they are fused; it is pruned again
  const fused = [...tensors.values()].some(({ name, shape }) => shape.length >= 3 && /\.experts\.\D/.test(name));
  const experts = table.experts === undefined ? 0 : fused ? 1 : (config.experts ?? table.experts);
  if (layers * experts > tensors.size) {
    throw incomplete(
      `config.json tells of ${layers} layers of ${experts} experts, but the weights hold only ${tensors.size} tensors`,
    );
  }
  return table.tree({ layers, experts, text: config.text });
}

function checkComplete(lacking: readonly string[]): void {
  const [first, ...others] = lacking;
  if (first === undefined) return;
  const rest = others.length === 0 ? '' : ` and ${others.length} other ${others.length === 1 ? 'tensor' : 'tensors'}`;
  throw incomplete(
    `the weights lack ${first}${rest}`,
    first,
    first === 'lm_head.weight'
      ? 'set "tie_word_embeddings": true in config.json if the head shares the embedding'
      : undefined,
  );
}

function incomplete(message: string, tensor?: string, hint = 'download the model again, or correct its config.json') {
  return new TensorpressError('MODEL', message, { place: tensor === undefined ? {} : { tensor }, hint });
}

const COUNTED: readonly (readonly [Kind, string, string])[] = [
  ['linear', 'Linear', 'Linear'],
  ['embedding', 'Embedding', 'Embedding'],
  ['norm', 'norm', 'norms'],
  ['router', 'router', 'routers'],
];

function inferenceNote(
  inferred: ReadonlyMap<Kind, number>,
  architecture: string,
  { named, known }: { named: boolean; known: boolean },
): string[] {
  const counts = COUNTED.flatMap(([kind, one, many]) => {
    const count = inferred.get(kind) ?? 0;
    return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];
  }).join(', ');
  if (counts === '') return [];
  if (known)
    return [`the weights hold modules that ${architecture} has not, inferred from names and shapes: ${counts}`];
  const why = named
    ? `tensor names are not those of ${architecture}`
    : `${architecture} is not in the table of architectures`;
  return [`${why}; modules inferred from names and shapes: ${counts}`];
}

/** The dtype of most weights that may be quantized, by elements. */
function commonDType(modules: readonly Module[]): ModelDType | undefined {
  const elements = new Map<ModelDType, number>();
  for (const { weight } of modules) {
    if (weight) elements.set(weight.dtype, (elements.get(weight.dtype) ?? 0) + weight.rows * weight.columns);
  }
  return [...elements].sort(([, a], [, b]) => b - a)[0]?.[0];
}
