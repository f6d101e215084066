import { TensorpressError } from '../errors.js';
import type { Range } from '../numerics/grid.js';
import { qparams } from '../numerics/qparams.js';
import { actorderOf, type QuantizationArgs } from '../schemes/args.js';
import { weightGrid } from '../schemes/grids.js';
import { editActivations, planActivations } from './activations.js';
import { claimSchemes } from './claims.js';
import { energyOf, families, importanceOf, sharedScale, underflow, type Member } from './families.js';
import { parametersInOrder, rangeInOrder } from './gptq-groups.js';
import { hessianOf, Inputs, type Input } from './gptq-inputs.js';
import { isUnconfigured, type SchemeOptions } from './groups.js';
import { defineModifier } from './modifier.js';

export interface GptqOptions extends SchemeOptions {
  block_size?: number;
  dampening_frac?: number;
  actorder?: QuantizationArgs['actorder'];
  arithmetic?: 'reference' | 'exact';
}

/**
 * GPTQ (Frantar et al., arXiv 2210.17323): minimises tr(ΔW H ΔWᵀ), H = 2 / N sum x xᵀ over what a Linear reads in N sequences. A column is
 * rounded, and the columns to come change by what makes up best for its error:
 *
 *   q = fakequant(w_i),  e = (w_i - q) / U_ii,  w_j -= e U_ij for j > i      UᵀU = (H + λI)⁻¹,  λ = dampening_frac mean(diag H)
 *
 * actorder `static` takes columns with large H_jj first; under `group` their groups follow that order. Scales are those of the weight as it
 * was. Embeddings, and what H cannot be used for, are rounded to nearest. `arithmetic: exact` takes q as it is, not rounded to the model's dtype.
 */
export const gptq = defineModifier<GptqOptions>({
  type: 'GPTQModifier',
  schema: 'gptq-modifier.schema.json',
  flows: true,
  inherits(options) {
    if (!isUnconfigured(options)) return undefined;
    // schemes stay as they were given, unless it says something else
    return weights => (options.actorder === undefined ? weights : withActorder(weights, options.actorder));
  },

  schemes(options, model) {
    const { schemes, ...claims } = claimSchemes(options, model);
    const ordered = [...schemes].map(([name, scheme]) => {
      const { weights } = scheme;
      return [name, { ...scheme, weights: weights && withActorder(weights, options.actorder) }] as const;
    });
    return { ...claims, schemes: new Map(ordered) };
  },

  plan(_options, part, schemes) {
    const members = [...families(part.modules, schemes)].flat();
    for (const { module, args } of members) {
      const { format } = schemes.get(module.name)!;
      if (actorderOf(args) === 'group' && NO_GROUP_INDEX.includes(format))
        return { refuse: `${module.name}: ${format} has no place for the g_idx of actorder group; use static` };
    }
    const { observe, parameters } = planActivations(part, schemes);
    return {
      codes: members.map(({ module }) => module.name),
      parameters,
      observe: [...observe, ...members.flatMap(member => [...hessianOf(member), ...energyOf(member)])],
    };
  },

  async edit(part, context) {
    const { options, schemes, statistics, compute, emit, report, measure, signal } = context;
    const { block_size: blockSize = 128, dampening_frac: damping = 0.01, arithmetic = 'reference' } = options;
    await editActivations(part, context);
    const inputs = new Inputs(statistics, compute, report, damping);

    const prepare = async (member: Member): Promise<{ member: Member; input: Input | null; range: Range }> => {
      signal.throwIfAborted();
      const { module, args } = member;
      const input = await inputs.take(member);
      const importance = await importanceOf(member, statistics);
      const range =
        input?.groupIndex == null
          ? await compute.weightRange(module, args, importance)
          : await rangeInOrder(member, await compute.weight(module), input.order!, importance, context);
      return { member, input, range };
    };

    for (const members of families(part.modules, schemes)) {
      const prepared = [];
      for (const member of members) prepared.push(await prepare(member));
      const ranges = prepared.map(({ range }) => range);
      for (const { member, input, range } of prepared) {
        signal.throwIfAborted();
        const { module, args } = member;
        const { rows, columns, dtype } = module.weight;
        const G = sharedScale(member, ranges);
        for (const remark of underflow(member, range, G)) report(remark);
        const groupIndex = input?.groupIndex ?? null;
        const parameters = groupIndex === null ? qparams(range, args, dtype, G) : parametersInOrder(member, range, G);
        const edit = { kind: 'codes', module: module.name, arithmetic, groupIndex, ...parameters } as const;
        if (input === null) {
          await emit({ ...edit, codes: 'nearest' });
          continue;
        }
        const { codes, loss } = await compute.gptqColumns({
          ...{ weight: await compute.weight(module), fromRow: 0, grid: weightGrid(args, rows, columns) },
          ...{ factor: input.factor, order: input.order, groupIndex, parameters, args, blockSize },
          dtype: G !== null || arithmetic === 'exact' ? 'F32' : dtype,
        });
        const total = loss.reduce((sum, v) => sum + v, 0);
        if (!Number.isFinite(total)) {
          throw new TensorpressError('TENSOR', `${module.name}: the errors that GPTQ passes on grow beyond float32`, {
            place: { tensor: module.weight.tensor },
            hint: 'its weights are too large: leave it out with ignore, or raise dampening_frac',
          });
        }
        await emit({ ...edit, codes });
        measure(module.name, { loss: total });
      }
    }
  },
});

/** Formats without a tensor for g_idx. */
const NO_GROUP_INDEX = ['nvfp4-pack-quantized', 'mxfp4-pack-quantized', 'mxfp8-quantized'];

/**
 * A scheme's own actorder, or that of the modifier, which is `static` unless it says something else. `group` says nothing where there are no
 * groups.
 */
function withActorder(args: QuantizationArgs, given: GptqOptions['actorder']): QuantizationArgs {
  const actorder = given === undefined ? (args.actorder ?? 'static') : (given ?? args.actorder);
  const ordered = { ...args, actorder };
  const grouped = args.strategy === 'group' || args.strategy === 'tensor_group';
  return actorderOf(ordered) === 'group' && !grouped ? args : ordered;
}
