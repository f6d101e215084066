import { availableParallelism } from 'node:os';
import type { Observer } from '../../observers/observer.js';
import { valueObserver } from '../../observers/table.js';
import type { Passes } from '../../recipe/passes.js';
import type { PartWork, Plan } from '../../recipe/plan.js';
import { observersOf } from '../../recipe/plugins/plugins.js';
import { decoderOf } from '../../runtime/model/decoder.js';

/** Operations per second that a core is assumed to do in a forward pass. */
const FLOPS_PER_CORE = 50e9;
/** Bytes per second of reading, hashing and writing that is assumed: a plain SSD with SHA-256 in hardware. */
export const COPY_RATE = 400e6;
/** Of an engine: its library, its threads, and what the C library's heap keeps between runs. Measured on Llamas of 6M and 135M parameters. */
const ENGINE_BYTES = 120e6;
/** Tokens of a batch of which an engine holds some values at a time, in widths of the layer's widest value. */
const VALUES = 4;

export interface CalibrationCost {
  readonly seconds: number;
  /** Of the part that takes most: its weights and the values of a batch in float32, and what is observed of it; and of the engine. */
  readonly memoryBytes: number;
  /** Hidden states between two parts, and those before, until a part is durable. */
  readonly diskBytes: number;
}

/** What it takes to let data flow through the model; for as many tokens as the recipe takes at most. */
export function calibrationCost(plan: Plan, passes: Passes): CalibrationCost {
  const { samples = 512, sequence_length: length = 512, batch_size: rows = 1 } = plan.recipe.calibration ?? {};
  const tokens = samples * length;
  const { hidden } = decoderOf(plan.model);
  const observers = observersOf(plan.plugins);
  let operations = 0;
  let memoryBytes = 0;
  for (const work of plan.parts) {
    const count = passes.parts.get(work.part.id)?.length ?? 0;
    if (count === 0) continue;
    const { columns, bytes } = observed(work, observers);
    // half of the products: the matrices are symmetric
    operations += tokens * (count * passOperations(work) + columns.reduce((sum, n) => sum + n * n, 0));
    operations += columns.reduce((sum, n) => sum + n ** 3, 0);
    const widest = Math.max(
      0,
      ...work.part.modules.map(({ weight }) => (weight ? Math.max(weight.rows, weight.columns) : 0)),
    );
    const values = work.part.id === 'head' ? hidden : widest;
    memoryBytes = Math.max(memoryBytes, 2 * passOperations(work) + 4 * VALUES * rows * length * values + bytes);
  }
  const states = 4 * tokens * hidden * passes.streams.length;
  return {
    seconds: operations / flopRate(),
    memoryBytes: memoryBytes + ENGINE_BYTES,
    diskBytes: 2 * states,
  };
}

/** Operations per second that this machine is assumed to do. */
export function flopRate(): number {
  return FLOPS_PER_CORE * availableParallelism();
}

/** A multiplication and an addition per weight and token; logits are not computed. */
export function passOperations({ part }: PartWork): number {
  if (!part.id.startsWith('layers.')) return 0;
  return part.modules.reduce((sum, { weight }) => sum + (weight ? 2 * weight.rows * weight.columns : 0), 0);
}

/** Columns of the matrices that are observed of a part, and the bytes of everything that is. */
function observed({ part, steps }: PartWork, own: readonly Observer[]): { columns: number[]; bytes: number } {
  const widths = new Map(
    part.modules.flatMap(({ name, weight }) => (weight ? [[`${name}.input`, weight.columns]] : [])),
  );
  const sites = new Set(steps.flatMap(({ observe }) => observe.map(({ site, observer }) => `${observer} ${site}`)));
  const columns: number[] = [];
  let bytes = 0;
  for (const key of sites) {
    const [observer, site] = key.split(' ') as [string, string];
    const n = widths.get(site) ?? 0;
    const spec = { columns: n, size: n, args: null, dtype: 'F32', options: {} } as const;
    const isMatrix =
      n > 0 &&
      valueObserver(observer, own)!
        .reduce(spec)
        .some(({ op }) => op === 'gram');
    if (isMatrix) columns.push(n);
    bytes += isMatrix ? 12 * n * n : 8 * n;
  }
  return { columns, bytes };
}
