import { TensorpressError } from '../errors.js';
import { firstNonFinite, narrow } from '../numerics/dtypes.js';
import type { CodesEdit, DenseEdit, Edit, ParameterEdit, ParameterSpec } from '../modifiers/modifier.js';
import type { Step, StepWork } from '../recipe/plan.js';
import type { Weight } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import { weightGrid } from '../schemes/grids.js';

// What a modifier emits is checked before anything of it is written: it may be a user's.

/** What the plan of a step says it emits in a part: files were laid out for that, each tensor once. */
export class Announced {
  readonly #work: StepWork;
  readonly #part: string;
  readonly #taken = new Set<string>();

  constructor(work: StepWork, part: string) {
    this.#work = work;
    this.#part = part;
  }

  /** @throws TensorpressError PLUGIN when the plan does not announce the edit, or it was emitted before */
  take(edit: Edit): void {
    const { codes, dense, parameters } = this.#work;
    const what = subjectOf(edit);
    const announced = { codes, dense, parameter: parameters.map(({ name }) => name) }[edit.kind];
    if (!announced.includes(what)) throw this.#wrong(`edits ${what}, which its plan does not announce`);
    if (this.#taken.has(what)) throw this.#wrong(`edits ${what} twice`);
    this.#taken.add(what);
  }

  /** @throws TensorpressError PLUGIN when something is missing that outputs have room for */
  finish(): void {
    const { codes, parameters } = this.#work;
    const missing = [...codes, ...parameters.map(({ name }) => name)].find(what => !this.#taken.has(what));
    if (missing !== undefined) throw this.#wrong(`does not emit ${missing}, which its plan announces`);
  }

  #wrong(what: string): TensorpressError {
    return new TensorpressError('PLUGIN', `${this.#work.step.modifier.type} ${what}`, {
      place: { part: this.#part },
      hint: 'its plan of a part names every module and tensor that edit emits, and edit emits each of them once',
    });
  }
}

const subjectOf = (edit: Edit) => (edit.kind === 'parameter' ? edit.name : edit.module);

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

/** @throws TensorpressError PLUGIN when codes or their parameters do not fit the weight, or a scale is not finite */
export function checkedCodes(
  edit: CodesEdit,
  { rows, columns }: Weight,
  args: QuantizationArgs,
  { modifier }: Step,
): CodesEdit {
  const { module, codes, scale, zeroPoint, globalScale, groupIndex = null } = edit;
  const { gridRows, gridColumns } = weightGrid(args, rows, columns);
  const blocks = gridRows * gridColumns;
  const wrong = (what: string) =>
    new TensorpressError('PLUGIN', `${modifier.type} gives ${module} ${what}`, { place: { module } });
  const count = (what: string, values: ArrayLike<number> | null, wanted: number) => {
    if (values !== null && values.length !== wanted) throw wrong(`${values.length} ${what}, not ${wanted}`);
  };
  count('scales', scale, blocks);
  count('zero points', zeroPoint, blocks);
  count('indexes of groups', groupIndex, columns);
  if (codes !== 'nearest') count('codes', codes, rows * columns);
  const at = scale.findIndex(s => !Number.isFinite(s));
  if (at >= 0) throw wrong(`a scale that is ${scale[at]}`);
  if (globalScale !== null && !Number.isFinite(globalScale)) throw wrong(`a global scale that is ${globalScale}`);
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
