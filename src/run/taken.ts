import { TensorpressError } from '../errors.js';
import { firstNonFinite, narrow } from '../numerics/dtypes.js';
import type { DenseEdit, ParameterEdit, ParameterSpec } from '../modifiers/modifier.js';
import type { Step } from '../recipe/plan.js';
import type { Weight } from '../runtime/model/model.js';

// What a modifier emits is checked before anything of it is written: it may be a user's.

/** A modifier may touch what its plan says, since that is what files were laid out for. */
export function unannounced(what: string, { modifier }: Step, part: string): TensorpressError {
  return new TensorpressError('PLUGIN', `${modifier.type} edits ${what}, which its plan does not announce`, {
    place: { part },
    hint: 'its plan of a part names every module and tensor that edit emits',
  });
}

/** @throws TensorpressError PLUGIN when a modifier has made something else than a weight of the same shape */
export function checkedDense(edit: DenseEdit, { rows, columns }: Weight, { modifier }: Step): DenseEdit {
  const { weight, module } = edit;
  const wrong = (what: string) =>
    new TensorpressError('PLUGIN', `${modifier.type} gives ${module} ${what}`, { place: { module } });
  if (!(weight instanceof Float32Array) || weight.length !== rows * columns) {
    throw wrong(`something else than the ${rows * columns} float32 numbers of its weight [${rows}, ${columns}]`);
  }
  const at = firstNonFinite(weight);
  if (at >= 0) throw wrong(`a weight that is ${weight[at]} at [${Math.floor(at / columns)}, ${at % columns}]`);
  return edit;
}

/** @throws TensorpressError PLUGIN when there are too many or too few values, or one is not finite */
export function parameterBytes({ name, values }: ParameterEdit, { dtype, shape }: ParameterSpec): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const bad = Array.from(values).find(value => !Number.isFinite(value));
  if (values.length === count && bad === undefined) return narrow(Float32Array.from(values), dtype);
  const what = bad === undefined ? `has ${values.length} values, not ${count}` : `holds ${bad}`;
  throw new TensorpressError('PLUGIN', `${name} ${what}`, { place: { tensor: name } });
}
