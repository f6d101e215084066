import type { TensorInfo } from '../formats/source.js';
import { narrow, type ModelDType } from '../numerics/dtypes.js';
import { qparams } from '../numerics/qparams.js';
import type { Observer } from '../observers/observer.js';
import { weightObserver } from '../observers/table.js';
import type { Output } from '../outputs/output.js';
import { planPasses } from '../recipe/passes.js';
import type { Plan } from '../recipe/plan.js';
import { observersOf } from '../recipe/plugins/plugins.js';
import { weightedModules } from '../runtime/model/model.js';
import type { FormatName, QuantizationArgs } from '../schemes/args.js';
import { weightGrid } from '../schemes/grids.js';
import { calibrationCost, COPY_RATE } from './calibrate/cost.js';
import { createJobs, type Jobs } from './pool.js';
import { threadsFor } from './threads.js';
import { CHUNK_ELEMENTS, createBuffers, weightRows } from './weights.js';

export interface Estimate {
  readonly seconds: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** A weight of this many rows is enough to see how fast this machine is. */
const SAMPLE_ROWS = 64;
const SAMPLE_MS = 10;
/** Of an element in work: decoded, reconstructed, its code and its stored bytes; and of a block: range, scale and zero point. */
const BYTES_IN_WORK = 16;

/** What a run will take. Arithmetic is measured here and now, on a small weight for each distinct scheme; the speed of the disk is assumed. */
export async function estimate(plan: Plan, outputs: readonly Output[], now: () => number): Promise<Estimate> {
  const { model, outcome } = plan;
  const threads = threadsFor(model);
  const observers = observersOf(plan.plugins);
  const speeds = new Map<string, Speed>();
  let seconds = 0;
  let blocks = 0;
  const jobs = createJobs(0);
  try {
    for (const { name, weight } of weightedModules(model)) {
      const { weights: args, format } = outcome.schemes.get(name) ?? {};
      if (args == null || format === undefined || outcome.joined.has(name)) continue;
      const key = JSON.stringify([args, weight.dtype, format]);
      const speed = speeds.get(key) ?? (await measure(args, format, weight.dtype, { jobs, now, observers }));
      speeds.set(key, speed);
      // weights are observed one after the other, and encoded on all threads
      seconds += (speed.observe + speed.encode / Math.max(1, threads)) * weight.rows * weight.columns;
      const { gridRows, gridColumns } = weightGrid(args, weight.rows, weight.columns);
      blocks = Math.max(blocks, gridRows * gridColumns);
    }
  } finally {
    await jobs.close();
  }
  const passes = planPasses(plan);
  const flowing = passes && calibrationCost(plan, passes);
  const source = [...model.source.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const written = outputs.reduce((sum, { files }) => sum + files.reduce((n, { bytes }) => n + bytes, 0), 0);
  return {
    seconds: seconds + (source + written) / COPY_RATE + (flowing?.seconds ?? 0),
    memoryBytes:
      process.memoryUsage.rss() +
      ((threads + 1) * CHUNK_ELEMENTS + blocks) * BYTES_IN_WORK +
      (flowing?.memoryBytes ?? 0),
    diskBytes: written + (flowing?.diskBytes ?? 0),
  };
}

/** Seconds per element. */
interface Speed {
  readonly observe: number;
  readonly encode: number;
}

async function measure(
  args: QuantizationArgs,
  format: FormatName,
  dtype: ModelDType,
  { jobs, now, observers }: { jobs: Jobs; now: () => number; observers: readonly Observer[] },
): Promise<Speed> {
  const group = Math.max(1, args.group_size ?? 1);
  const [rows, columns] = [SAMPLE_ROWS, Math.ceil(1024 / group) * group];
  const elements = rows * columns;
  const bytes = narrow(
    Float32Array.from({ length: elements }, (_, i) => Math.sin(i * 0.7) * 0.05),
    dtype,
  );
  const grid = weightGrid(args, rows, columns);
  const observer = weightObserver(args.observer, observers)!;
  const weight = weightRows(
    inMemory(bytes, [rows, columns], dtype),
    { tensor: 'sample', rows, columns, dtype },
    jobs,
    createBuffers(1),
  );
  const importance = new Float64Array(columns).fill(1);
  const observe = () => observer.weightRange({ weight, grid, args, importance });
  const parameters = qparams(await observe(), args, dtype, args.strategy === 'tensor_group' ? 1 : null);
  const encode = () =>
    jobs.run({
      kind: 'encode',
      bytes,
      dtype,
      fromRow: 0,
      grid,
      parameters,
      spec: { rows, columns, dtype, args },
      arithmetic: 'reference',
      codes: null,
      formats: [format],
      into: [],
    });
  const time = async (work: () => Promise<unknown>) => {
    await work(); // the first rounds compile
    await work();
    const start = now();
    let rounds = 0;
    do {
      await work();
      rounds++;
    } while (now() - start < SAMPLE_MS && rounds < 20);
    return (now() - start) / 1000 / rounds / elements;
  };
  return { observe: await time(observe), encode: await time(encode) };
}

/** A source of one tensor; whatever rows are asked for, a read gives all of it. */
function inMemory(bytes: Uint8Array, shape: readonly number[], dtype: ModelDType) {
  const info: TensorInfo = { name: 'sample', dtype, shape, bytes: bytes.length, file: 'memory' };
  return {
    tensors: new Map([[info.name, info]]),
    files: [],
    read: () => Promise.resolve(bytes),
    close: () => Promise.resolve(),
  };
}
