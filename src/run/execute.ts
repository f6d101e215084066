import { createHash } from 'node:crypto';
import { TensorpressError } from '../errors.js';
import type { QuantizationError } from '../numerics/error.js';
import { random } from '../numerics/random.js';
import type { Edit, Remark, Statistics } from '../modifiers/modifier.js';
import type { Output } from '../outputs/output.js';
import { observersOf } from '../recipe/plugins/plugins.js';
import type { PartWork, Plan, StepWork } from '../recipe/plan.js';
import { observerName } from '../schemes/observer-names.js';
import type { Calibration } from './calibrate/calibration.js';
import { PartEdits } from './calibrate/edits.js';
import type { SavedStates } from './calibrate/states.js';
import { computeOn } from './compute.js';
import { encode } from './encode.js';
import type { OnEvent } from './events.js';
import { flow } from './flow.js';
import { collectEvery, collectGrown } from './garbage.js';
import { sha256 } from './hash.js';
import type { Jobs } from './pool.js';
import type { Progress } from './progress.js';
import { Announced, checkedCodes, checkedDense, checkedFigures, checkedRemark, parameterBytes } from './taken.js';
import { tensorPieces, type Buffers } from './weights.js';

/** Arrays that may be garbage before it is looked for: a part leaves little, and many parts much. */
const GARBAGE = 1 << 18;

/** What a run measured of a module that became codes. */
export interface ModuleFigures extends QuantizationError {
  /** The observer that ran. */
  readonly observer: string;
  /** How often each code occurs, by its low byte. */
  readonly usage: readonly number[];
  /** Of modules with `arithmetic: exact`: the squared error that the reference's arithmetic would have left. */
  readonly referenceError?: number;
  /** What the modifier measured: `loss`. */
  readonly figures?: Readonly<Record<string, number>>;
}

/** Everything that outlives a part: figures and hashes. Kept in the journal, so that a resumed run reports the same. */
export interface PartRecord {
  readonly modules: Readonly<Record<string, ModuleFigures>>;
  /** SHA-256 of the source tensors that were read, in hex. */
  readonly sources: Readonly<Record<string, string>>;
  readonly remarks: readonly Remark[];
}

/** A finished part: what it stored, and its record. */
export interface PartResult {
  readonly part: string;
  readonly tensors: readonly { readonly output: number; readonly tensor: string; readonly sha256: string }[];
  readonly record: PartRecord;
}

/** A part that has just been finished, with what it left for the next. */
export interface Finished extends PartResult {
  readonly states: readonly SavedStates[];
}

export interface ExecuteOptions {
  readonly plan: Plan;
  readonly outputs: readonly Output[];
  readonly jobs: Jobs;
  readonly buffers: Buffers;
  /** What flows through the model, where a modifier wants to see it. */
  readonly calibration: Calibration | undefined;
  /** Parts that an earlier attempt has finished. */
  readonly finished: ReadonlyMap<string, PartResult>;
  /** Called after each part, in order; everything it names is written, though perhaps not yet on the disk. */
  readonly commit: (result: Finished) => Promise<void>;
  readonly progress: Progress;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
}

/**
 * Executes a plan part by part: modifiers edit, every edit goes to the outputs at once, the rest is copied. Nothing outlives its part but
 * its record, so memory does not grow with the number of layers.
 */
export async function execute(options: ExecuteOptions): Promise<PartResult[]> {
  const { plan, outputs, finished, commit, progress, signal } = options;
  const hashes = new Map<string, string>();
  const results: PartResult[] = [];
  const collect = options.calibration === undefined ? collectGrown(GARBAGE) : collectEvery();
  for (const work of plan.parts) {
    const known = finished.get(work.part.id);
    progress.enter(work.part.id, known !== undefined);
    if (known !== undefined) await checkStored(known, outputs);
    const fresh = known === undefined ? await executePart(work, options, hashes) : undefined;
    const { states: _, ...result } = fresh ?? { ...known!, states: [] };
    for (const [tensor, sha256] of Object.entries(result.record.sources)) hashes.set(tensor, sha256);
    results.push(result);
    if (fresh !== undefined) await commit(fresh);
    collect();
    signal.throwIfAborted();
  }
  return results;
}

/** What an earlier attempt has stored must still be there. */
async function checkStored({ tensors }: PartResult, outputs: readonly Output[]): Promise<void> {
  for (const { output, tensor, sha256 } of tensors) {
    if ((await outputs[output]!.hash(tensor)) === sha256) continue;
    throw new TensorpressError('DISK', `${tensor} is not as the unfinished run has stored it`, {
      place: { file: outputs[output]!.folder, tensor },
      hint: 'check the disk, and start over with --force',
    });
  }
}

async function executePart(
  work: PartWork,
  { plan, outputs, jobs, buffers, calibration, progress, onEvent, signal }: ExecuteOptions,
  hashes: ReadonlyMap<string, string>,
): Promise<Finished> {
  const { source } = plan.model;
  const { part } = work;
  const byName = new Map(part.modules.map(module => [module.name, module]));
  const modules: Record<string, ModuleFigures> = {};
  const sources: Record<string, string> = {};
  const remarks: Remark[] = [];
  const tensors: PartResult['tensors'][number][] = [];
  const edits = new PartEdits(source, part.modules);
  const flowing = calibration?.enter(
    part,
    edits,
    new Map(work.steps.map(({ step, observe }) => [step.index, observe] as const)),
  );

  const store = async (output: number, tensor: string, bytes: Uint8Array) => {
    await outputs[output]!.write(tensor, 0, bytes);
    tensors.push({ output, tensor, sha256: sha256(bytes) });
  };

  /** A source tensor has been read whole: its hash is an input of the run, and must not change while it lasts. */
  const sourceRead = (tensor: string, sha256: string) => {
    const before = hashes.get(tensor) ?? sources[tensor];
    if (before !== undefined && before !== sha256) {
      const { file } = source.tensors.get(tensor)!;
      throw new TensorpressError('TENSOR', `${tensor} has changed since this run read it first`, {
        place: { file, tensor },
        hint: 'leave the model alone while a run works on it, and start again with --force',
      });
    }
    sources[tensor] = sha256;
  };

  const take = async (edit: Edit, { step, parameters }: StepWork) => {
    const { index } = step;
    const before = (other: number) => other < index;
    if (edit.kind === 'parameter') {
      const bytes = parameterBytes(
        edit,
        parameters.find(({ name }) => name === edit.name)!,
        step,
      );
      for (const output of outputs.keys()) await store(output, edit.name, bytes);
      return;
    }
    const weight = byName.get(edit.module)!.weight!;
    if (edit.kind === 'dense') {
      edits.addDense(index, checkedDense(edit, weight, step));
      return;
    }
    const args = plan.outcome.schemes.get(edit.module)!.weights!;
    checkedCodes(edit, weight, args, step);
    if (calibration !== undefined && step.flows) edits.addCodes(index, edit, args);
    const { read, stored, error, usage, referenceError } = await encode({
      ...{ edit, weight, args, outputs, jobs, buffers },
      source: edits.view(before),
      onBytes(bytes) {
        signal.throwIfAborted();
        progress.add(bytes);
      },
    });
    if (!edits.has(weight.tensor, before)) sourceRead(weight.tensor, read);
    for (const [output, codes] of stored.entries()) {
      tensors.push({ output, ...codes });
      for (const [around, bytes] of outputs[output]!.encodeParameters(edit.module, edit))
        await store(output, around, bytes);
    }
    modules[edit.module] = {
      ...modules[edit.module],
      ...error,
      observer: observerThatRan(args.observer),
      usage,
      ...(referenceError !== undefined && { referenceError }),
    };
  };

  const figures = new Map<string, Readonly<Record<string, number>>>();
  for (const own of work.steps) {
    const { step } = own;
    const { modifier, options } = step;
    const announced = new Announced(own, part.id);
    const report = (given: Remark) => {
      const remark = checkedRemark(given, step);
      remarks.push(remark);
      onEvent({ type: 'remark', ...remark });
    };
    onEvent({ type: 'step', part: part.id, modifier: modifier.type });
    // one after the other, whether the modifier waits for them or not
    let taken = Promise.resolve();
    await modifier.edit(part, {
      options: options as never,
      schemes: own.schemes,
      statistics: (await flowing?.statistics(step.index)) ?? NOTHING_SEEN,
      compute: computeOn(
        edits.view(other => other < step.index),
        { jobs, buffers, report, observers: observersOf(plan.plugins) },
      ),
      random: random(plan.recipe.calibration?.seed ?? 0, modifier.type, step.index, part.id),
      emit(edit) {
        announced.open();
        taken = taken.then(() => {
          announced.take(edit);
          return take(edit, own);
        });
        taken.catch(() => {}); // reported where it is awaited
        return taken;
      },
      report,
      measure(module, given) {
        const found = checkedFigures(module, given, step);
        figures.set(module, { ...figures.get(module), ...found });
        onEvent({ type: 'figures', module, figures: found });
      },
      signal,
    });
    await taken;
    announced.finish();
  }
  for (const [module, found] of figures) if (modules[module]) modules[module] = { ...modules[module], figures: found };
  const states = (await flowing?.end()) ?? [];

  const edited = edits.view(() => true);
  for (const { tensor, as } of work.copies) {
    const hash = createHash('sha256');
    await flow(tensorPieces(source.tensors.get(tensor)!), buffers.count, {
      load: ({ rows }, slot) => edited.read(tensor, rows, buffers.take(slot)),
      work: () => Promise.resolve(signal.throwIfAborted()),
      async land(_, bytes, { offset }) {
        hash.update(bytes);
        for (const output of outputs) await output.write(as, offset, bytes);
        progress.add(bytes.length);
      },
    });
    const sha256 = hash.digest('hex');
    if (!edits.has(tensor, () => true)) sourceRead(tensor, sha256);
    outputs.forEach((_, output) => tensors.push({ output, tensor: as, sha256 }));
  }
  return { part: part.id, tensors, record: { modules, sources, remarks }, states };
}

/** A weight is observed once, so averaging forms run as their memoryless ones; run.json says so. */
function observerThatRan(given: string | null): string {
  const name = observerName(given ?? 'memoryless_minmax') ?? given!;
  const memoryless: Record<string, string> = {
    minmax: 'memoryless_minmax',
    static_minmax: 'memoryless_minmax',
    mse: 'memoryless_mse',
  };
  return memoryless[name] ?? name;
}

const NOTHING_SEEN: Statistics = {
  seen: { tokens: 0, sequences: 0 },
  take: ({ site }) => Promise.reject(new TensorpressError('PLUGIN', `nothing was observed at ${site}`)),
};
