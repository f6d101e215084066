import { TensorpressError } from '../errors.js';
import { roundTo, type ModelDType } from '../numerics/dtypes.js';
import { absmax, type Range } from '../numerics/grid.js';
import { globalScale, qparams } from '../numerics/qparams.js';
import type { Part } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import type { EditContext, ModuleScheme, Observation, ParameterEdit, ParameterSpec, PartPlan } from './modifier.js';

/** A value whose scale a checkpoint stores: the input or output of a Linear, queries, keys or values of attention. */
export interface StoredScale {
  readonly module: string;
  /** Its site; its tensors are `<site>_scale` and so on. */
  readonly site: string;
  readonly args: QuantizationArgs;
  /** The model's dtype T. */
  readonly dtype: ModelDType;
  /** [1], or [heads, 1, 1]. */
  readonly shape: readonly number[];
}

/** Every value of a part whose scale is stored; what is dynamic stores nothing. */
export function storedScales({ modules }: Part, schemes: ReadonlyMap<string, ModuleScheme>): StoredScale[] {
  return modules.flatMap(({ name, weight }) => {
    const { input_activations: input, output_activations: output, attention } = schemes.get(name) ?? {};
    const stored = (value: string, args: QuantizationArgs | null | undefined, dtype: ModelDType, heads = 1) => {
      if (args == null || args.dynamic === true) return [];
      const shape = args.strategy === 'attn_head' ? [heads, 1, 1] : [1];
      return [{ module: name, site: `${name}.${value}`, args, dtype, shape }];
    };
    if (attention !== undefined) {
      const { cache, dtype, heads } = attention;
      return [
        ...stored('q', input, dtype, heads?.q),
        ...stored('k', cache, dtype, heads?.kv),
        ...stored('v', cache, dtype, heads?.kv),
      ];
    }
    return weight === undefined
      ? []
      : [...stored('input', input, weight.dtype), ...stored('output', output, weight.dtype)];
  });
}

/** What a modifier's `plan` says of the activations of a part. */
export function planActivations(
  part: Part,
  schemes: ReadonlyMap<string, ModuleScheme>,
): Required<Pick<PartPlan, 'observe' | 'parameters'>> {
  const scales = storedScales(part, schemes);
  return { observe: scales.map(observationOf), parameters: scales.flatMap(parametersOf) };
}

/** What its `edit` does to them: a scale from each range that was observed. */
export async function editActivations(
  part: Part,
  { schemes, statistics, emit, signal }: Pick<EditContext<unknown>, 'schemes' | 'statistics' | 'emit' | 'signal'>,
): Promise<void> {
  for (const scale of storedScales(part, schemes)) {
    signal.throwIfAborted();
    const range = await statistics.take<Range>(observationOf(scale));
    for (const edit of parameterEdits(scale, range)) await emit(edit);
  }
}

function observationOf({ site, args }: StoredScale): Observation {
  return { site, observer: args.observer!, args };
}

/** The tensors of a stored scale; a symmetric scheme has no zero point. */
export function parametersOf({ site, args, dtype, shape }: StoredScale): ParameterSpec[] {
  if (args.dynamic === 'local') return [{ name: `${site}_global_scale`, dtype: 'F32', shape }];
  const scale: ParameterSpec = { name: `${site}_scale`, dtype, shape };
  return args.symmetric ? [scale] : [scale, { name: `${site}_zero_point`, dtype: 'I8', shape }];
}

/**
 * Their values from the observed range, by the formulas of weights: s and z of each scale in float32, as the values were when they were
 * observed, rounded once to T; for `dynamic: local` G = 448 * 6 / absmax.
 * @throws TensorpressError TENSOR when nothing was observed, or only zeros, or what is not finite
 */
export function parameterEdits(stored: StoredScale, range: Range): ParameterEdit[] {
  const { site, args, dtype } = stored;
  checkRange(stored, range);
  if (args.dynamic === 'local') {
    return [{ kind: 'parameter', name: `${site}_global_scale`, values: [globalScale(absmax(range), dtype)] }];
  }
  const { scale, zeroPoint } = qparams(range, args, 'F32');
  const T = roundTo(dtype);
  const values = scale.map(T);
  if (values.some(s => !(s > 0 && s < Infinity))) throw unfit(stored, `has a scale that is out of ${dtype}'s range`);
  return [
    { kind: 'parameter', name: `${site}_scale`, values },
    ...(zeroPoint === null ? [] : [{ kind: 'parameter', name: `${site}_zero_point`, values: zeroPoint } as const]),
  ];
}

function checkRange(stored: StoredScale, { min, max }: Range): void {
  for (let i = 0; i < min.length; i++) {
    const [a, b] = [min[i]!, max[i]!];
    const which = min.length > 1 && stored.args.strategy === 'attn_head' ? ` in head ${i}` : '';
    if (a > b) throw unfit(stored, 'was reached by no token of the calibration data');
    if (!(Number.isFinite(a) && Number.isFinite(b))) throw unfit(stored, `is not finite${which}`);
    if (a === 0 && b === 0 && stored.args.dynamic === false) throw unfit(stored, `is 0 for every token${which}`);
  }
  if (absmax({ min, max }) === 0) throw unfit(stored, 'is 0 for every token');
}

function unfit({ module, site }: StoredScale, why: string): TensorpressError {
  return new TensorpressError('TENSOR', `${site} ${why}, so it has no scale`, {
    place: { module },
    hint: 'take other calibration data, or leave this module out of the scheme',
  });
}
