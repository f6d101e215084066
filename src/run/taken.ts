import { TensorpressError } from '../errors.js';
import { firstNonFinite, narrow, roundTo } from '../numerics/dtypes.js';
import { codeRange } from '../numerics/qparams.js';
import type { CodesEdit, DenseEdit, Edit, ParameterEdit, ParameterSpec, Remark } from '../modifiers/modifier.js';
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
  #finished = false;

  constructor(work: StepWork, part: string) {
    this.#work = work;
    this.#part = part;
  }

  /** @throws TensorpressError PLUGIN when the modifier has ended its edit of the part */
  open(): void {
    if (this.#finished) throw this.#wrong('emits an edit after its edit of the part has ended', 'await what it starts');
  }

  /** @throws TensorpressError PLUGIN when the plan does not announce the edit, or it was emitted before */
  take(edit: Edit): void {
    const { codes, dense, parameters } = this.#work;
    const kinds = { codes, dense, parameter: parameters.map(({ name }) => name) };
    if (typeof edit !== 'object' || !Object.hasOwn(kinds, edit?.kind))
      throw this.#wrong('emits what is no edit: {kind: "dense", "codes" or "parameter", ...}');
    const what = subjectOf(edit);
    const announced = kinds[edit.kind];
    if (!announced.includes(what)) throw this.#wrong(`edits ${what}, which its plan does not announce`);
    if (this.#taken.has(what)) throw this.#wrong(`edits ${what} twice`);
    this.#taken.add(what);
  }

  /** @throws TensorpressError PLUGIN when something is missing that outputs have room for */
  finish(): void {
    const { codes, parameters } = this.#work;
    const missing = [...codes, ...parameters.map(({ name }) => name)].find(what => !this.#taken.has(what));
    if (missing !== undefined) throw this.#wrong(`does not emit ${missing}, which its plan announces`);
    this.#finished = true;
  }

  #wrong(
    what: string,
    hint = 'its plan of a part names every module and tensor that edit emits, and edit emits each of them once',
  ): TensorpressError {
    return new TensorpressError('PLUGIN', `${this.#work.step.modifier.type} ${what}`, {
      place: { part: this.#part },
      hint,
    });
  }
}

const subjectOf = (edit: Edit) => (edit.kind === 'parameter' ? edit.name : edit.module);

/** @throws TensorpressError PLUGIN when a modifier has made something else than a weight of the same shape */
export function checkedDense(edit: DenseEdit, { rows, columns, dtype }: Weight, { modifier }: Step): DenseEdit {
  const { weight, module } = edit;
  const wrong = (what: string) =>
    new TensorpressError('PLUGIN', `${modifier.type} gives ${module} ${what}`, { place: { module }, hint: MEND });
  if (!(weight instanceof Float32Array) || weight.length !== rows * columns) {
    throw wrong(`something else than the ${rows * columns} float32 numbers of its weight [${rows}, ${columns}]`);
  }
  const at = firstNonFinite(weight);
  const place = (index: number) => `[${Math.floor(index / columns)}, ${index % columns}]`;
  if (at >= 0) throw wrong(`a weight that is ${weight[at]} at ${place(at)}`);
  let largest = 0;
  for (let i = 1; i < weight.length; i++) if (Math.abs(weight[i]!) > Math.abs(weight[largest]!)) largest = i;
  if (!Number.isFinite(roundTo(dtype)(weight[largest]!)))
    throw wrong(`a weight of ${weight[largest]} at ${place(largest)}, more than ${dtype} can hold`);
  return edit;
}

/** @throws TensorpressError PLUGIN when codes or their parameters do not fit the weight and its scheme, or a scale is not finite */
export function checkedCodes(
  edit: CodesEdit,
  { rows, columns }: Weight,
  args: QuantizationArgs,
  { modifier }: Step,
): CodesEdit {
  const { module, codes, arithmetic, scale, zeroPoint, globalScale, groupIndex = null } = edit;
  const { gridRows, gridColumns } = weightGrid(args, rows, columns);
  const { lowest, highest } = codeRange(args);
  const wrong = (what: string) =>
    new TensorpressError('PLUGIN', `${modifier.type} gives ${module} ${what}`, { place: { module }, hint: MEND });
  const check = (what: string, values: unknown, type: ArrayType, length: number, [from, to]: [number, number]) => {
    if (!(values instanceof type)) throw wrong(`${what} that are no ${type.name}`);
    if (values.length !== length) throw wrong(`${values.length} ${what}, not ${length}`);
    for (let i = 0; i < length; i++) {
      const value = values[i]!;
      if (!(value >= from && value <= to))
        throw wrong(
          `${what} that are not within ${from} and ${to === LARGEST ? 'the largest float32' : to}: ${value} at ${i}`,
        );
    }
  };
  check('scales', scale, Float32Array, gridRows * gridColumns, [0, LARGEST]);
  if (args.symmetric && zeroPoint !== null)
    throw wrong('zero points that are not null, though its scheme is symmetric');
  if (!args.symmetric) check('zero points', zeroPoint, Int8Array, scale.length, [lowest, highest]);
  if ((args.strategy === 'tensor_group') !== Number.isFinite(globalScale))
    throw wrong(`a global scale that is ${globalScale}, and its strategy is ${args.strategy}`);
  if (groupIndex !== null) check('indexes of groups', groupIndex, Int32Array, columns, [0, gridColumns - 1]);
  if (arithmetic !== 'reference' && arithmetic !== 'exact') throw wrong(`the arithmetic "${String(arithmetic)}"`);
  if (codes === 'nearest') return edit;
  if (args.type === 'int') check('codes', codes, Int8Array, rows * columns, [lowest, highest]);
  else check('codes', codes, Uint8Array, rows * columns, [0, 2 ** args.num_bits - 1]);
  return edit;
}

type ArrayType = typeof Float32Array | typeof Int8Array | typeof Uint8Array | typeof Int32Array;

/** Of float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** @throws TensorpressError PLUGIN when there are too many or too few values, or one is not finite */
export function parameterBytes(
  { name, values }: ParameterEdit,
  { dtype, shape }: ParameterSpec,
  { modifier }: Step,
): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const bad = Array.from(values).find(value => !Number.isFinite(value));
  if (values.length === count && bad === undefined) return narrow(Float32Array.from(values), dtype);
  const what =
    bad === undefined ? `a list of ${values.length} where it has planned ${count}` : `a value that is ${bad}`;
  throw new TensorpressError('PLUGIN', `${modifier.type} gives ${name} ${what}`, {
    place: { tensor: name },
    hint: MEND,
  });
}

/** @throws TensorpressError PLUGIN when a modifier reports what is no sentence */
export function checkedRemark(remark: Remark, { modifier }: Step): Remark {
  const { module, message } = (remark as Partial<Remark> | undefined) ?? {};
  if (typeof message === 'string' && (module === undefined || typeof module === 'string'))
    return { ...(module !== undefined && { module }), message };
  throw new TensorpressError('PLUGIN', `${modifier.type} reports what is no remark`, {
    hint: 'a remark is {module, message}, or {message}: names and sentences',
  });
}

/** @throws TensorpressError PLUGIN when a modifier measures what are no finite numbers of a module */
export function checkedFigures(
  module: string,
  figures: Readonly<Record<string, number>>,
  { modifier }: Step,
): Readonly<Record<string, number>> {
  const entries = typeof figures === 'object' ? Object.entries(figures ?? {}) : [];
  const bad = entries.find(([, value]) => !Number.isFinite(value));
  if (typeof module === 'string' && entries.length > 0 && bad === undefined) return Object.fromEntries(entries);
  const what = bad === undefined ? 'what are no figures' : `${bad[0]} = ${String(bad[1])} of ${module}`;
  throw new TensorpressError('PLUGIN', `${modifier.type} measures ${what}`, {
    hint: 'measure takes the name of a module, and finite numbers by name: measure(module.name, { loss })',
  });
}

const MEND = 'mend it in edit, where this is emitted';
