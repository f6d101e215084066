import { TensorpressError } from '../errors.js';
import type { WeightFormat } from '../formats/format.js';
import { openWeight, type StoredWeight } from '../formats/weights/stored.js';
import { weightFormat } from '../formats/weights/table.js';
import { QUANTIZATION_KEYS } from '../runtime/model/config.js';
import { inferClass, isHead } from '../runtime/model/infer.js';
import type { Model } from '../runtime/model/model.js';
import type { QuantizationArgs, QuantizationScheme } from '../schemes/args.js';
import { inferFormat } from '../schemes/formats.js';
import { preset } from '../schemes/presets.js';
import { isRecord } from '../schemes/problem.js';
import { FORMATS, normalizeScheme } from '../schemes/scheme.js';
import { compilePattern, prioritize, selects } from '../schemes/targets.js';

type Json = Readonly<Record<string, unknown>>;

/** A module whose weight is stored as codes. */
export interface CompressedModule {
  readonly module: string;
  readonly format: WeightFormat;
  readonly stored: StoredWeight;
  /** Names of all tensors that make up the weight. */
  readonly tensors: ReadonlySet<string>;
}

/** Tensors around codes: a module that has one of them has a compressed weight. */
const AROUND = /^(.*)\.weight_(packed|scale|zero_point|global_scale|shape|g_idx)$/;
const CODES = /^(.*)\.weight$/;
const DENSE = new Set(['F64', 'F32', 'F16', 'BF16']);

/**
 * The `quantization_config` of a compressed-tensors checkpoint.
 * @throws TensorpressError MODEL when it has none, or one of another method
 */
export function quantizationOf({ config, folder }: Model): Json {
  const place = { file: `${folder}/config.json` };
  const quantization = [config, config['text_config']]
    .filter(isRecord)
    .flatMap(holder => QUANTIZATION_KEYS.map(key => holder[key]))
    .find(isRecord);
  if (quantization === undefined) {
    throw new TensorpressError('MODEL', `${folder} is not quantized: its config.json has no quantization_config`, {
      place,
      hint: 'there is nothing to decompress',
    });
  }
  const { quant_method: method } = quantization;
  if (method === 'compressed-tensors') return quantization;
  throw new TensorpressError('MODEL', `checkpoints of quant_method ${String(method)} cannot be read`, {
    place,
    hint: 'tensorpress reads checkpoints of compressed-tensors',
  });
}

/** How the modules of a checkpoint are quantized, found by the same matching as readers do. */
export interface Schemes {
  /** The scheme of a module by name; undefined where it has none, or is ignored. */
  of(module: string): QuantizationScheme | undefined;
  /** Every module whose weight is stored as codes, with its scheme. */
  readonly compressed: ReadonlyMap<string, WithCodes>;
}

/**
 * @throws TensorpressError MODEL when `quantization` cannot be understood
 */
export function schemesOf(model: Model, quantization: Json): Schemes {
  const { tensors } = model.source;
  const groups = readGroups(quantization, model);
  const targets = [...groups.keys()].map(compilePattern);
  const ignore = listOf(quantization['ignore']).map(compilePattern);
  const classes = new Map(model.modules.map(module => [module.name, module.classes]));
  const named = (name: string) => ({ name, classes: classes.get(name) ?? [inferClass(name), 'Module'] });
  const targeted = (name: string) => groups.get(prioritize(targets, named(name))[0] ?? '');
  const of = (name: string) => (selects(ignore, [], named(name)) ? undefined : targeted(name));
  const isExpected = (name: string) => storesCodes(of(name));

  const names = new Set<string>();
  for (const { name, dtype } of tensors.values()) {
    const around = AROUND.exec(name)?.[1];
    if (around !== undefined) names.add(around);
    const coded = DENSE.has(dtype) ? undefined : CODES.exec(name)?.[1];
    if (coded !== undefined && isExpected(coded)) names.add(coded);
  }
  // a weight without any of its tensors; where no file knows the last name, the writer had another one for it
  const lastNames = new Set([...names].map(lastName));
  for (const { name } of model.modules) {
    if (lastNames.has(lastName(name)) && !tensors.has(`${name}.weight`) && isExpected(name) && !isHead(lastName(name)))
      names.add(name); // a tied head has no tensors of its own
  }

  const compressed = new Map<string, WithCodes>();
  for (const module of names) {
    const scheme = targeted(module);
    if (!storesCodes(scheme)) {
      throw unreadable(`${module} is compressed, but no group of quantization_config says how`, model);
    }
    compressed.set(module, scheme);
  }
  return { of, compressed };
}

/**
 * Opens one of `Schemes.compressed`: its parameters are read, its codes are not.
 * @throws TensorpressError TENSOR when a tensor is missing or does not fit the scheme
 */
export async function openCompressed(model: Model, module: string, scheme: WithCodes): Promise<CompressedModule> {
  const format = weightFormat(inferFormat(scheme));
  const stored = await openWeight(model.source, module, format, { args: scheme.weights, dtype: model.dtype });
  // some writers store zero points although the scheme is symmetric
  const suffixes = [format.codes, ...format.parameters, 'weight_zero_point'];
  return { module, format, stored, tensors: new Set(suffixes.map(suffix => `${module}.${suffix}`)) };
}

/**
 * Every compressed module of a checkpoint, opened.
 * @throws TensorpressError MODEL when `quantization` cannot be understood, TENSOR when a tensor is missing or does not fit its scheme
 */
export async function compressedModules(model: Model, quantization: Json): Promise<CompressedModule[]> {
  const found: CompressedModule[] = [];
  for (const [module, scheme] of schemesOf(model, quantization).compressed) {
    found.push(await openCompressed(model, module, scheme));
  }
  return found;
}

/** Places where a transform was applied to the weights for good. */
export const FOLDED: readonly string[] = ['weight_input', 'weight_output'];

/** An entry of `transform_config`: a rotation, and where it acts. */
export interface TransformEntry {
  /** Of its group, which names the matrix. */
  readonly name: string;
  readonly type: unknown;
  /** Size of the matrix where it acts on blocks. */
  readonly block: number | undefined;
  readonly location: string;
  readonly inverse: boolean;
  selects(module: { readonly name: string; readonly classes: readonly string[] }): boolean;
}

/** @throws TensorpressError MODEL when `transform_config` cannot be understood */
export function transformEntries(model: Model, { transform_config: transforms }: Json): TransformEntry[] {
  const groups = isRecord(transforms) && isRecord(transforms['config_groups']) ? transforms['config_groups'] : {};
  return Object.entries(groups).flatMap(([name, group]) => {
    const entries: unknown = isRecord(group) ? group['apply'] : undefined;
    if (!isRecord(group) || !Array.isArray(entries) || !entries.every(isRecord)) {
      throw unreadable(`transform_config.config_groups.${name} is not understood`, model);
    }
    return entries.map((entry): TransformEntry => {
      const targets = listOf(entry['targets']).map(compilePattern);
      const ignore = listOf(entry['ignore']).map(compilePattern);
      return {
        name,
        type: group['type'],
        block: typeof group['head_dim'] === 'number' ? group['head_dim'] : undefined,
        location: String(entry['location']),
        inverse: entry['inverse'] === true,
        selects: module => selects(targets, ignore, module),
      };
    });
  });
}

const lastName = (module: string) => module.slice(module.lastIndexOf('.') + 1);

/** A scheme of weights that are stored as codes. */
export type WithCodes = QuantizationScheme & { weights: QuantizationArgs };

/** Whether the weights under a scheme are stored as codes. */
export function storesCodes(scheme: QuantizationScheme | undefined): scheme is WithCodes {
  return scheme?.weights != null && inferFormat(scheme) !== 'dense';
}

/** Target -> scheme. Where two groups share a target, the later one counts. */
function readGroups(quantization: Json, model: Model): Map<string, QuantizationScheme> {
  const { config_groups: groups, format } = quantization;
  // before groups had formats of their own, all were stored in this one
  const common = FORMATS.find(name => name === format && name !== 'dense') ?? null;
  const schemes = new Map<string, QuantizationScheme>();
  for (const [name, group] of Object.entries(isRecord(groups) ? groups : {})) {
    const { scheme, problems } = readGroup(name, group);
    if (scheme === undefined) {
      throw unreadable(`quantization_config.config_groups.${name}: ${problems[0]!.message}`, model);
    }
    for (const target of scheme.targets) schemes.set(target, { ...scheme, format: scheme.format ?? common });
  }
  return schemes;
}

/** A scheme in full, or `{"W8A8": ["Linear"]}`. */
function readGroup(name: string, group: unknown): ReturnType<typeof normalizeScheme> {
  const scheme = Array.isArray(group) ? preset(name, listOf(group)) : undefined;
  return scheme === undefined ? normalizeScheme(group, { observers: 'any' }) : { scheme, warnings: [] };
}

/** A list, or one string. */
function listOf(value: unknown): string[] {
  return [value].flat().filter(item => typeof item === 'string');
}

/** The error for a config.json that cannot be understood, or whose words do not fit a tensor. */
export function unreadable(message: string, { folder }: Model, tensor?: string): TensorpressError {
  return new TensorpressError('MODEL', message, {
    place: { file: `${folder}/config.json`, ...(tensor === undefined ? {} : { tensor }) },
    hint: 'config.json does not fit the weights, or was written by a program that tensorpress does not know',
  });
}
