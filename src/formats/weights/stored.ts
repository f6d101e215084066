import { TensorpressError, type Diagnostic } from '../../errors.js';
import type { ModelDType } from '../../numerics/dtypes.js';
import type { QuantizationArgs } from '../../schemes/args.js';
import type { Parameters, TensorLayout, WeightFormat, WeightSpec } from '../format.js';
import type { Source, TensorInfo } from '../source.js';
import { groupIndex, storedError, weightShape } from './parameters.js';

/** A compressed weight that was found in a checkpoint and fits its scheme. Its codes are still on disk. */
export interface StoredWeight {
  readonly spec: WeightSpec;
  readonly parameters: Parameters;
  /** Name of the tensor that holds the codes; rows of it go to the format's `decompress`. */
  readonly codes: string;
}

/**
 * Finds a module's weight, checks names, dtypes and shapes of all its tensors, and reads what surrounds the codes.
 * @param options.args the weights' scheme, from the group of config.json that the module belongs to
 * @param options.dtype T; where the scales are stored in a model dtype, theirs is taken instead
 * @throws TensorpressError TENSOR, naming the tensor
 */
export async function openWeight(
  source: Source,
  module: string,
  format: WeightFormat,
  { args, dtype }: { args: QuantizationArgs; dtype: ModelDType },
): Promise<StoredWeight> {
  const small = new Map<string, Uint8Array>();
  const load = async (suffix: string): Promise<void> => {
    const name = `${module}.${suffix}`;
    if (source.tensors.has(name)) small.set(suffix, await source.read(name));
  };
  if (format.parameters.includes(weightShape.suffix)) await load(weightShape.suffix);
  const codes = `${module}.${format.codes}`;
  const stored = source.tensors.get(codes);
  if (stored === undefined) throw storedError(module, format.codes, 'is missing');
  const scale = source.tensors.get(`${module}.weight_scale`)?.dtype;
  const spec: WeightSpec = {
    ...format.measure(stored.shape, suffix => small.get(suffix), module),
    dtype: scale === 'F32' || scale === 'F16' || scale === 'BF16' ? scale : dtype,
    args,
    module,
  };
  const refused = format.refuses(spec);
  if (refused !== undefined) {
    throw new TensorpressError('TENSOR', `${module}: ${refused}`, {
      place: { module, tensor: codes, file: stored.file },
      hint: 'quantization_config of config.json does not fit the tensors',
    });
  }
  const layout = format.layout(spec);
  const stray = `${module}.${groupIndex.suffix}`;
  if (source.tensors.has(stray) && layout.every(({ suffix }) => suffix !== groupIndex.suffix)) {
    throw storedError(module, groupIndex.suffix, 'puts columns into groups, but actorder of their scheme is not group');
  }
  checkStored(module, layout, source.tensors);
  for (const { suffix } of layout.slice(1)) await load(suffix);
  return { spec, codes, parameters: format.decompressParameters(suffix => small.get(suffix), spec) };
}

/**
 * Compares what a checkpoint holds for a module with what its format stores.
 * @throws TensorpressError TENSOR with one diagnostic per tensor that is missing or has another dtype or shape
 */
function checkStored(module: string, layout: readonly TensorLayout[], tensors: ReadonlyMap<string, TensorInfo>): void {
  const diagnostics = layout.flatMap(({ suffix, dtype, shape }): Diagnostic[] => {
    const tensor = `${module}.${suffix}`;
    const wanted = `${dtype} [${shape.join(', ')}]`;
    const stored = tensors.get(tensor);
    if (stored === undefined)
      return [{ code: 'TENSOR', message: `${tensor} is missing; it would be ${wanted}`, tensor }];
    const found = `${stored.dtype} [${stored.shape.join(', ')}]`;
    // some writers store one number without a dimension
    return found === wanted || (stored.shape.length === 0 && wanted === `${stored.dtype} [1]`)
      ? []
      : [{ code: 'TENSOR', message: `${tensor} is ${found} where ${wanted} is expected`, tensor, file: stored.file }];
  });
  const [first] = diagnostics;
  if (first === undefined) return;
  throw new TensorpressError('TENSOR', first.message, {
    place: { tensor: first.tensor!, ...(first.file === undefined ? {} : { file: first.file }) },
    hint: 'the checkpoint is damaged, or was written in another format than its config.json says',
    diagnostics,
  });
}
