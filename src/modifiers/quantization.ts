import { float16Underflow, globalScale, qparams } from '../numerics/qparams.js';
import { absmax } from '../numerics/grid.js';
import type { Module } from '../runtime/model/model.js';
import { editActivations, planActivations } from './activations.js';
import { claimSchemes } from './claims.js';
import type { SchemeOptions } from './groups.js';
import { energyOf } from './importance.js';
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
 * tensor_group (NVFP4) scales s once more by G = 448 * 6 / absmax, shared by the modules that runtimes fuse. Activations, keys and values with
 * static schemes get their scales by the same formulas, from what calibration data show.
 * The order of operations and their rounding are compressed-tensors' (`arithmetic: exact` rounds once, to the nearest code).
 */
export const quantization = defineModifier<QuantizationOptions>({
  type: 'QuantizationModifier',
  schema: 'quantization-modifier.schema.json',

  schemes: claimSchemes,

  plan(_options, part, schemes) {
    const { observe, parameters } = planActivations(part, schemes);
    const weighted = [...families(part.modules, schemes)].flat();
    const energies = weighted.flatMap(({ module, args }) => energyOf(module, args) ?? []);
    return {
      codes: part.modules.filter(m => schemes.get(m.name)?.weights != null).map(m => m.name),
      parameters,
      observe: [...observe, ...energies],
    };
  },

  async edit(part, context) {
    const { options, schemes, statistics, compute, emit, report, signal } = context;
    const arithmetic = options.arithmetic ?? 'reference';
    await editActivations(part, context);
    for (const members of families(part.modules, schemes)) {
      const observed = [];
      for (const { module, args } of members) {
        signal.throwIfAborted();
        const energy = energyOf(module, args);
        const importance = energy && (await statistics.take<Float64Array>(energy));
        observed.push({ module, args, range: await compute.weightRange(module, args, importance) });
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
