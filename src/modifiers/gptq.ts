import { roundArray, machineEpsilon } from '../numerics/dtypes.js';
import type { QParams, Range } from '../numerics/grid.js';
import { qparams } from '../numerics/qparams.js';
import { weightInMemory } from '../observers/memory.js';
import { weightObserver } from '../observers/table.js';
import { actorderOf, type QuantizationArgs } from '../schemes/args.js';
import { weightGrid } from '../schemes/grids.js';
import { editActivations, planActivations } from './activations.js';
import { claimSchemes } from './claims.js';
import { energyOf, families, sharedScale, underflow, type Member } from './families.js';
import { Inputs, hessianOf, type Input } from './gptq-inputs.js';
import { isUnconfigured, type SchemeOptions } from './groups.js';
import { defineModifier } from './modifier.js';

export interface GptqOptions extends SchemeOptions {
  block_size?: number;
  dampening_frac?: number;
  actorder?: QuantizationArgs['actorder'];
  arithmetic?: 'reference' | 'exact';
}

/**
 * GPTQ (Frantar et al., arXiv 2210.17323). Minimises tr(ΔW H ΔWᵀ), H = (2 / N) sum x xᵀ over the inputs of a Linear, one column at a time: a
 * column is rounded, and the columns to come are changed by what makes up best for its error:
 *
 *   q = fakequant(w_i),  e = (w_i - q) / U_ii,  w_j -= e U_ij for j > i      UᵀU = (H + λI)⁻¹,  λ = dampening_frac mean(diag H)
 *
 * actorder `static` takes columns with a large H_jj first; under `group` their groups follow that order, and g_idx says where they are.
 * Scales are those of the weight as it was. Embeddings have no H, and a module whose H cannot be used is rounded to nearest.
 */
export const gptq = defineModifier<GptqOptions>({
  type: 'GPTQModifier',
  schema: 'gptq-modifier.schema.json',
  flows: true,
  inherits: isUnconfigured,

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
    const unordered = members.find(({ module, args }) => {
      return actorderOf(args) === 'group' && NO_GROUP_INDEX.includes(schemes.get(module.name)!.format);
    });
    if (unordered !== undefined) {
      const { module } = unordered;
      return { refuse: `${module.name}: ${schemes.get(module.name)!.format} has no g_idx, which actorder group needs` };
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
    await editActivations(part, context);
    const { block_size: blockSize = 128, dampening_frac: damping = 0.01, arithmetic = 'reference' } = options;
    const inputs = new Inputs(statistics, compute, report, damping);
    for (const members of families(part.modules, schemes)) {
      const works = [];
      for (const member of members) {
        signal.throwIfAborted();
        works.push(await prepare(member));
      }
      const ranges = works.map(({ range }) => range);
      for (const { member, input, range } of works) {
        signal.throwIfAborted();
        const { module, args } = member;
        const { rows, columns, dtype } = module.weight;
        const G = sharedScale(member, ranges);
        for (const remark of underflow(member, range, G)) report(remark);
        const groupIndex = input?.groupIndex ?? null;
        const parameters = groupIndex === null ? qparams(range, args, dtype, G) : roundedParameters(member, range, G);
        const edit = { kind: 'codes', module: module.name, arithmetic, ...parameters } as const;
        if (input === null) {
          await emit({ ...edit, codes: 'nearest' });
          continue;
        }
        const { codes, loss } = await compute.gptqColumns({
          weight: await compute.weight(module),
          fromRow: 0,
          factor: input.factor,
          order: input.order,
          parameters,
          grid: weightGrid(args, rows, columns),
          groupIndex,
          args,
          dtype: G !== null || arithmetic === 'exact' ? 'F32' : dtype,
          blockSize,
        });
        await emit({ ...edit, codes, groupIndex });
        measure(module.name, { loss: loss.reduce((sum, v) => sum + v, 0) });
      }
    }

    /** A module's input, and the range of every scale. */
    async function prepare(member: Member): Promise<{ member: Member; input: Input | null; range: Range }> {
      const { module, args } = member;
      const input = await inputs.take(member);
      const [energy] = energyOf(member);
      const importance = energy && (await statistics.take<Float64Array>(energy));
      if (input?.groupIndex != null) {
        const range = await rangeInOrder(member, await compute.weight(module), input.order!, importance);
        return { member, input, range };
      }
      return { member, input, range: await compute.weightRange(module, args, importance) };
    }
  },
});

/** Formats that have no place for g_idx. */
const NO_GROUP_INDEX = ['nvfp4-pack-quantized', 'mxfp4-pack-quantized', 'mxfp8-quantized'];

/** A scheme's own actorder, or that of the modifier, which is `static` unless it says something else. Where there are no groups, `group` says nothing. */
function withActorder(args: QuantizationArgs, given: GptqOptions['actorder']): QuantizationArgs {
  const actorder = given === undefined ? (args.actorder ?? 'static') : (given ?? args.actorder);
  const ordered = { ...args, actorder };
  const grouped = args.strategy === 'group' || args.strategy === 'tensor_group';
  return actorderOf(ordered) === 'group' && !grouped ? args : ordered;
}

/** The range of groups that follow the order of work, observed on the columns in that order. */
async function rangeInOrder(
  { module: { weight }, args }: Member,
  w: Float32Array,
  order: Int32Array,
  importance: Float64Array | undefined,
): Promise<Range> {
  const { rows, columns } = weight;
  const x = new Float32Array(w.length);
  for (let row = 0, at = 0; row < rows; row++, at += columns)
    for (let j = 0; j < columns; j++) x[at + j] = w[at + order[j]!]!;
  return weightObserver(args.observer ?? 'memoryless_minmax')!.weightRange!({
    weight: weightInMemory(x, columns, 'F32'),
    grid: weightGrid(args, rows, columns),
    args,
    ...(importance && { importance: Float64Array.from(order, j => importance[j]!) }),
  });
}

/** Parameters computed in float32 and stored in T, as the reference does with columns in the order of work. */
function roundedParameters({ module, args }: Member, range: Range, G: number | null): QParams {
  const { dtype } = module.weight;
  const parameters = qparams(range, args, 'F32', G);
  if (args.scale_dtype !== null) return parameters;
  const scale = roundArray(parameters.scale, dtype).map(s => s || machineEpsilon(dtype));
  return { ...parameters, scale };
}
