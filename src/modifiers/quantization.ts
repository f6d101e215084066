import { qparams } from '../numerics/qparams.js';
import { editActivations, planActivations } from './activations.js';
import { claimSchemes } from './claims.js';
import { energyOf, families, importanceOf, sharedScale, underflow } from './families.js';
import type { SchemeOptions } from './groups.js';
import { defineModifier } from './modifier.js';

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
    const members = [...families(part.modules, schemes)].flat();
    const { observe, parameters } = planActivations(part, schemes);
    return {
      codes: members.map(({ module }) => module.name),
      parameters,
      observe: [...observe, ...members.flatMap(energyOf)],
    };
  },

  async edit(part, context) {
    const { options, schemes, statistics, compute, emit, report, signal } = context;
    const arithmetic = options.arithmetic ?? 'reference';
    await editActivations(part, context);
    for (const members of families(part.modules, schemes)) {
      const ranges = [];
      for (const member of members) {
        signal.throwIfAborted();
        const importance = await importanceOf(member, statistics);
        ranges.push(await compute.weightRange(member.module, member.args, importance));
      }
      for (const [i, member] of members.entries()) {
        const { module, args } = member;
        const G = sharedScale(member, ranges);
        for (const remark of underflow(member, ranges[i]!, G)) report(remark);
        await emit({
          kind: 'codes',
          module: module.name,
          codes: 'nearest',
          arithmetic,
          ...qparams(ranges[i]!, args, module.weight.dtype, G),
        });
      }
    }
  },
});
