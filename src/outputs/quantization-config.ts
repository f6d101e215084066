import type { ModuleScheme } from '../modifiers/modifier.js';
import type { Module } from '../runtime/model/model.js';
import { serializeArgs, type QuantizationArgs } from '../schemes/args.js';

/** Written as `version`: the release of compressed-tensors whose format this is. */
export const FORMAT_VERSION = '0.18.1';

/**
 * `quantization_config` of a checkpoint, as compressed-tensors writes and reads it: groups renumbered in the order in which modules use them,
 * and `ignore` rebuilt from what was really left alone.
 * @param modules every module of the model, in declaration order
 * @param cache how every attention module keeps keys and values
 */
export function quantizationConfig(
  modules: readonly Module[],
  given: ReadonlyMap<string, ModuleScheme>,
  cache: QuantizationArgs | null = null,
): Record<string, unknown> {
  // attention modules that only have a cache are in no group
  const schemes = new Map([...given].filter(([, scheme]) => scheme.targets.length > 0));
  const groups = new Map<string, ReturnType<typeof group>>();
  for (const { name } of modules) {
    const scheme = schemes.get(name);
    if (scheme === undefined) continue;
    const entry = group(scheme);
    const key = JSON.stringify(entry);
    if (!groups.has(key)) groups.set(key, entry);
  }
  const formats = [...new Set([...groups.values()].map(({ format }) => format).filter(format => format !== 'dense'))];
  return {
    config_groups: Object.fromEntries([...groups.values()].map((entry, i) => [`group_${i}`, entry])),
    format: formats.length > 1 ? 'mixed-precision' : (formats[0] ?? 'dense'),
    global_compression_ratio: null,
    ignore: ignored(modules, schemes),
    kv_cache_scheme: cache && serializeArgs(cache),
    quant_method: 'compressed-tensors',
    quantization_status: 'compressed',
    sparsity_config: {},
    transform_config: {},
    version: FORMAT_VERSION,
  };
}

function group({ targets, weights, input_activations, output_activations, format }: ModuleScheme) {
  return {
    format,
    input_activations: input_activations && serializeArgs(input_activations),
    output_activations: output_activations && serializeArgs(output_activations),
    targets: [...targets],
    weights: weights && serializeArgs(weights),
  };
}

/** Modules without a scheme whose class occurs among those with one, by class in the order of first sight. */
function ignored(modules: readonly Module[], schemes: ReadonlyMap<string, ModuleScheme>): string[] {
  const quantized = new Set(modules.filter(({ name }) => schemes.has(name)).map(classOf));
  const byClass = new Map<string, string[]>();
  for (const module of modules) {
    if (schemes.has(module.name) || !quantized.has(classOf(module))) continue;
    byClass.set(classOf(module), [...(byClass.get(classOf(module)) ?? []), module.name]);
  }
  return [...byClass.values()].flat();
}

/** Routers of mixtures are linear layers under another name, and readers must know that they were left alone. */
function classOf({ classes }: Module): string {
  const name = classes[0] ?? '';
  return /Router|Gate|Gating/.test(name) && !name.includes('ExpertMLP') ? 'Linear' : name;
}
