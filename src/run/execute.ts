import { createHash } from 'node:crypto';
import { TensorpressError } from '../errors.js';
import { emptyError, finishError, type ErrorSums, type QuantizationError } from '../numerics/error.js';
import type { CodesEdit, Compute, Remark } from '../modifiers/modifier.js';
import { weightObserver } from '../observers/table.js';
import type { Output } from '../outputs/output.js';
import type { PartWork, Plan } from '../recipe/plan.js';
import { weightGrid } from '../schemes/grids.js';
import { observerName } from '../schemes/observer-names.js';
import type { OnEvent } from './events.js';
import { flow } from './flow.js';
import { cutGrid, cutParameters, shareParameters } from './jobs.js';
import type { Jobs } from './pool.js';
import { progressMeter } from './progress.js';
import { rowPieces, tensorPieces, weightRows, type Buffers } from './weights.js';

/** What a run measured of a module that became codes. */
export interface ModuleFigures extends QuantizationError {
  /** The observer that ran. */
  readonly observer: string;
  /** How often each code occurs, by its low byte. */
  readonly usage: readonly number[];
  /** Of modules with `arithmetic: exact`: the squared error that the reference's arithmetic would have left. */
  readonly referenceError?: number;
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

export interface ExecuteOptions {
  readonly plan: Plan;
  readonly outputs: readonly Output[];
  readonly jobs: Jobs;
  readonly buffers: Buffers;
  /** Parts that an earlier attempt has finished. */
  readonly finished: ReadonlyMap<string, PartResult>;
  /** Called after each part, in order; everything it names is written, though perhaps not yet on the disk. */
  readonly commit: (result: PartResult) => Promise<void>;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/**
 * Executes a plan part by part: modifiers edit, every edit goes to the outputs at once, the rest is copied. Nothing outlives its part but
 * its record, so memory does not grow with the number of layers.
 */
export async function execute(options: ExecuteOptions): Promise<PartResult[]> {
  const { plan, outputs, finished, commit, onEvent, signal, now } = options;
  const progress = progressMeter(plan, onEvent, now);
  const hashes = new Map<string, string>();
  const results: PartResult[] = [];
  for (const work of plan.parts) {
    const known = finished.get(work.part.id);
    progress.enter(work.part.id, known !== undefined);
    if (known !== undefined) await checkStored(known, outputs);
    const result = known ?? (await executePart(work, options, hashes, progress.add));
    for (const [tensor, sha256] of Object.entries(result.record.sources)) hashes.set(tensor, sha256);
    results.push(result);
    if (known === undefined) await commit(result);
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
  { plan, outputs, jobs, buffers, onEvent, signal }: ExecuteOptions,
  hashes: ReadonlyMap<string, string>,
  onBytes: (bytes: number) => void,
): Promise<PartResult> {
  const { source } = plan.model;
  const byName = new Map(work.part.modules.map(module => [module.name, module]));
  const modules: Record<string, ModuleFigures> = {};
  const sources: Record<string, string> = {};
  const remarks: Remark[] = [];
  const tensors: PartResult['tensors'][number][] = [];

  const store = async (output: number, tensor: string, bytes: Uint8Array) => {
    await outputs[output]!.write(tensor, 0, bytes);
    tensors.push({ output, tensor, sha256: createHash('sha256').update(bytes).digest('hex') });
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

  const compute: Compute = {
    weightRange(module, args) {
      const weight = module.weight!;
      const observer = weightObserver(args.observer ?? 'memoryless_minmax')!;
      const rows = weightRows(source, weight, jobs, buffers);
      return observer.weightRange({ weight: rows, grid: weightGrid(args, weight.rows, weight.columns), args });
    },
  };

  const encode = async (edit: CodesEdit) => {
    const weight = byName.get(edit.module)?.weight;
    const args = plan.outcome.schemes.get(edit.module)?.weights;
    if (weight === undefined || args == null) {
      throw new TensorpressError('INTERNAL', `codes for ${edit.module}, which has no scheme`);
    }
    const { rows, columns, dtype, tensor } = weight;
    const whole = weightGrid(args, rows, columns);
    const encodings = outputs.map(output => output.encoding(edit.module));
    const parameters = shareParameters(edit);
    const error = emptyError(rows);
    const usage = new Float64Array(256);
    let referenceError: Float64Array | undefined;
    const sourceHash = createHash('sha256');
    const storedHashes = encodings.map(() => createHash('sha256'));
    await flow(rowPieces(weight), Math.min(jobs.parallel, buffers.count), {
      load: (piece, slot) => source.read(tensor, piece, buffers.take(slot)),
      work(bytes, { from, to }, slot) {
        signal.throwIfAborted();
        const { grid, fromRow, firstBlock } = cutGrid(whole, from, to);
        return jobs.run({
          kind: 'encode',
          bytes,
          dtype,
          fromRow,
          grid,
          parameters: cutParameters(parameters, firstBlock, grid),
          spec: encodings[0]!.spec,
          arithmetic: edit.arithmetic,
          codes: edit.codes === 'nearest' ? null : edit.codes.slice(from * columns, to * columns),
          formats: encodings.map(({ format }) => format),
          into: encodings.map(({ rowBytes }, i) => buffers.take(slot, 1 + i)((to - from) * rowBytes)),
        });
      },
      async land(result, bytes, { from }) {
        sourceHash.update(bytes);
        for (const [i, encoded] of result.encoded.entries()) {
          storedHashes[i]!.update(encoded);
          await outputs[i]!.write(encodings[i]!.tensor, from * encodings[i]!.rowBytes, encoded);
        }
        enter(error, result.error, from);
        if (result.referenceError !== null)
          (referenceError ??= new Float64Array(rows)).set(result.referenceError, from);
        for (let code = 0; code < 256; code++) usage[code]! += result.usage[code]!;
        onBytes(bytes.length);
      },
    });
    sourceRead(tensor, sourceHash.digest('hex'));
    for (const [output, { tensor: name }] of encodings.entries()) {
      tensors.push({ output, tensor: name, sha256: storedHashes[output]!.digest('hex') });
      for (const [around, bytes] of outputs[output]!.encodeParameters(edit.module, edit))
        await store(output, around, bytes);
    }
    modules[edit.module] = {
      ...finishError(error),
      observer: observerThatRan(args.observer),
      usage: [...usage],
      ...(referenceError && { referenceError: referenceError.reduce((sum, v) => sum + v, 0) }),
    };
  };

  for (const { step } of work.steps) {
    await step.modifier.edit(work.part, {
      options: step.options as never,
      schemes: planned(step.schemes, work),
      compute,
      emit: encode,
      report(remark) {
        remarks.push(remark);
        onEvent({ type: 'remark', ...remark });
      },
      signal,
    });
  }

  for (const { tensor, as } of work.copies) {
    const hash = createHash('sha256');
    await flow(tensorPieces(source.tensors.get(tensor)!), buffers.count, {
      load: ({ rows }, slot) => source.read(tensor, rows, buffers.take(slot)),
      work: () => Promise.resolve(signal.throwIfAborted()),
      async land(_, bytes, { offset }) {
        hash.update(bytes);
        for (const output of outputs) await output.write(as, offset, bytes);
        onBytes(bytes.length);
      },
    });
    const sha256 = hash.digest('hex');
    sourceRead(tensor, sha256);
    outputs.forEach((_, output) => tensors.push({ output, tensor: as, sha256 }));
  }
  return { part: work.part.id, tensors, record: { modules, sources, remarks } };
}

/** Rows of a chunk among those of the weight. */
function enter(all: ErrorSums, rows: ErrorSums, from: number): void {
  all.squaredError.set(rows.squaredError, from);
  all.squares.set(rows.squares, from);
  all.maxError.set(rows.maxError, from);
}

/** The schemes of the modules that the plan gives codes: a head that is stored with its embedding has none of its own. */
function planned<T>(schemes: ReadonlyMap<string, T>, { steps }: PartWork): Map<string, T> {
  const coded = new Set(steps.flatMap(({ codes }) => codes));
  return new Map([...schemes].filter(([name]) => coded.has(name)));
}

/** A weight is observed once, so averaging forms run as their memoryless ones; run.json says so. */
function observerThatRan(given: string | null): string {
  const name = observerName(given ?? 'memoryless_minmax')!;
  const memoryless: Record<string, string> = {
    minmax: 'memoryless_minmax',
    static_minmax: 'memoryless_minmax',
    mse: 'memoryless_mse',
  };
  return memoryless[name] ?? name;
}
