import { TensorpressError } from '../errors.js';
import { firstNonFinite, narrow } from '../numerics/dtypes.js';
import type { DenseEdit, Edit, ParameterEdit, ParameterSpec } from '../modifiers/modifier.js';
import type { Step, StepWork } from '../recipe/plan.js';
import type { Weight } from '../runtime/model/model.js';

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
    if (missing !== undefined) throw this.#wrong(`has not emitted ${missing}, which its plan announces`);
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

/** @throws TensorpressError PLUGIN when there are too many or too few values, or one is not finite */
export function parameterBytes({ name, values }: ParameterEdit, { dtype, shape }: ParameterSpec): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const bad = Array.from(values).find(value => !Number.isFinite(value));
  if (values.length === count && bad === undefined) return narrow(Float32Array.from(values), dtype);
  const what = bad === undefined ? `has ${values.length} values, not ${count}` : `holds ${bad}`;
  throw new TensorpressError('PLUGIN', `${name} ${what}`, { place: { tensor: name } });
}
