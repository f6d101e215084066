import { float16Underflow, globalScale, qparams } from '../numerics/qparams.js';
import { absmax } from '../numerics/grid.js';
import type { Module } from '../runtime/model/model.js';
import { claimSchemes } from './claims.js';
import type { SchemeOptions } from './groups.js';
import { defineModifier, type ModuleScheme } from './modifier.js';

export interface QuantizationOptions extends SchemeOptions {
  arithmetic?: 'reference' | 'exact';
}

/**
 * Round to nearest. From the range [a, b] of each block that the weight observer gives:
 *
 *   s = max(|a|, |b|) / ((qmax - qmin) / 2), z = 0        symmetric
 *   s = (b - a) / (qmax - qmin), z = qmin - a / s         asymmetric
 *   q = clamp(round(w / s) + z, qmin, qmax)
 *
 * tensor_group (NVFP4) scales s once more by G = 448 * 6 / absmax, shared by the modules that runtimes fuse.
 * The order of operations and their rounding are compressed-tensors' (`arithmetic: exact` rounds once, to the nearest code).
 */
export const quantization = defineModifier<QuantizationOptions>({
  type: 'QuantizationModifier',
  schema: 'quantization-modifier.schema.json',

  schemes: claimSchemes,

  plan(_options, part, schemes) {
    return { codes: part.modules.filter(m => schemes.get(m.name)?.weights != null).map(m => m.name) };
  },

  async edit(part, { options, schemes, compute, emit, report, signal }) {
    const arithmetic = options.arithmetic ?? 'reference';
    for (const members of families(part.modules, schemes)) {
      const observed = [];
      for (const { module, args } of members) {
        signal.throwIfAborted();
        observed.push({ module, args, range: await compute.weightRange(module, args) });
      }
      const A = Math.max(...observed.map(({ range }) => absmax(range)));
      for (const { module, args, range } of observed) {
        const { dtype } = module.weight!;
        const G = args.strategy === 'tensor_group' ? globalScale(A, dtype) : null;
        const rescued = dtype === 'F16' ? float16Underflow(range, args, G) : 0;
        if (rescued > 0) {
          const message = `${rescued} scales are too small for float16 arithmetic and were computed in float32; they differ from the reference's on purpose`;
          report({ module: module.name, message });
        }
        await emit({
          kind: 'codes',
          module: module.name,
          codes: 'nearest',
          arithmetic,
          ...qparams(range, args, dtype, G),
        });
      }
    }
  },
});

/** Modules to quantize, in order; those that share a global scale come together. */
function families(modules: readonly Module[], schemes: ReadonlyMap<string, ModuleScheme>) {
  const groups = new Map<string, { module: Module; args: NonNullable<ModuleScheme['weights']> }[]>();
  for (const module of modules) {
    const args = schemes.get(module.name)?.weights;
    if (args == null || module.weight === undefined) continue;
    const key = args.strategy === 'tensor_group' ? (module.family ?? module.name) : module.name;
    groups.set(key, [...(groups.get(key) ?? []), { module, args }]);
  }
  return groups.values();
}
