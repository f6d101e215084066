import type { Range } from '../../numerics/grid.js';
import type { ModelDType } from '../../numerics/dtypes.js';
import type { Observer, ValueSpec } from '../../observers/observer.js';
import { weightInMemory } from '../../observers/memory.js';
import { guardObserver } from '../../recipe/plugins/guard.js';
import { createReferenceEngine } from '../../runtime/engine/reference/engine.js';
import { slice } from '../../runtime/model/slice.js';
import { normalizeArgs } from '../../schemes/args.js';
import { weightGrid } from '../../schemes/grids.js';
import { Watch } from '../calibrate/watch.js';

export interface Observed extends Partial<Omit<ValueSpec, 'columns'>> {
  readonly columns: number;
  /** Tokens of each batch; the last takes the rest. Default: one batch. */
  readonly batches?: readonly number[];
}

/**
 * What an observer makes of a value x[T, C] that comes in batches, reduced by the reference engine. Batches that are cut differently tell
 * whether its statistics depend on how data happen to be cut.
 */
export async function observe<State, Result>(
  { names, values }: Observer<State, Result>,
  x: ArrayLike<number>,
  { columns, batches = [], ...more }: Observed,
): Promise<Result> {
  if (values === undefined) throw new TypeError(`${names[0]!} sees no values`);
  const spec: ValueSpec = { columns, size: columns, args: null, dtype: 'F32', options: {}, ...more };
  const guarded = guardObserver({ names, values } as Observer, names[0]!).values!;
  const watch = new Watch('watch', { value: 'x' }, guarded, spec);
  const engine = createReferenceEngine();
  try {
    const program = engine.compile(
      slice(
        watch.ops,
        watch.ops.map(({ out }) => out),
      ),
    );
    const total = x.length / columns;
    let from = 0;
    for (const size of [...batches, total]) {
      const tokens = Math.min(size, total - from);
      if (tokens === 0) break;
      const rows = Float64Array.from({ length: tokens * columns }, (_, i) => x[from * columns + i]!);
      const made = await program.run({ x: engine.tensor(rows, [tokens, columns]) });
      for (const { out } of watch.ops) await watch.see(out, made[out]!, { tokens, sequences: 1 });
      from += tokens;
    }
    return watch.finish('x') as Result;
  } finally {
    await engine.close();
  }
}

export interface ObservedWeight {
  readonly columns: number;
  /** The scheme: fields of QuantizationArgs, completed as a recipe's are. */
  readonly args: Readonly<Record<string, unknown>>;
  /** Default: F32. */
  readonly dtype?: ModelDType;
  /** Rows that are read at a time. Default: all. */
  readonly chunk?: number;
}

/** The range of every scale of a weight w[R, C] that an observer gives, the weight being read in chunks of rows. */
export async function observeWeight<State, Result>(
  observer: Observer<State, Result>,
  w: Float32Array,
  { columns, args: given, dtype = 'F32', chunk }: ObservedWeight,
): Promise<Range> {
  const { names, weightRange } = observer;
  if (weightRange === undefined) throw new TypeError(`${names[0]!} sees no weights`);
  const { args, problems } = normalizeArgs({ ...given, observer: names[0]! }, { observers: 'any' });
  if (problems !== undefined) throw new TypeError(problems[0]!.message);
  const whole = weightInMemory(w, columns, dtype);
  const step = chunk ?? whole.rows;
  const weight = {
    ...whole,
    // eslint-disable-next-line @typescript-eslint/require-await
    async *chunks() {
      for (let fromRow = 0; fromRow < whole.rows; fromRow += step)
        yield { fromRow, x: w.subarray(fromRow * columns, Math.min(whole.rows, fromRow + step) * columns) };
    },
  };
  const guarded = guardObserver(observer as Observer, names[0]!);
  return guarded.weightRange!({ weight, grid: weightGrid(args, whole.rows, columns), args });
}
