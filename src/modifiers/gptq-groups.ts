import { machineEpsilon, roundArray } from '../numerics/dtypes.js';
import type { QParams, Range } from '../numerics/grid.js';
import { qparams } from '../numerics/qparams.js';
import { weightInMemory } from '../observers/memory.js';
import { weightGrid } from '../schemes/grids.js';
import type { Member } from './families.js';
import type { EditContext } from './modifier.js';

// actorder `group`: groups are runs of columns in the order of work, and g_idx says in which one a column is.

/** g_idx: the group of each column. */
export function groupsInOrder(order: Int32Array, size: number): Int32Array {
  const groups = new Int32Array(order.length);
  order.forEach((column, j) => (groups[column] = Math.floor(j / size)));
  return groups;
}

/**
 * Range of every group, observed on the columns in their order.
 * @param w W[R, C] in its own order
 */
export async function rangeInOrder(
  { module, args }: Member,
  w: Float32Array,
  order: Int32Array,
  importance: Float64Array | undefined,
  { compute, report }: Pick<EditContext<never>, 'compute' | 'report'>,
): Promise<Range> {
  const { rows, columns } = module.weight;
  const x = new Float32Array(w.length);
  for (let at = 0; at < w.length; at += columns) for (let j = 0; j < columns; j++) x[at + j] = w[at + order[j]!]!;
  return compute.weightObserver(args).weightRange({
    weight: weightInMemory(x, columns, 'F32'),
    grid: weightGrid(args, rows, columns),
    args,
    ...(importance && { importance: Float64Array.from(order, j => importance[j]!) }),
    remark: message => report({ module: module.name, message }),
  });
}

/** Parameters of such groups: computed in float32 and rounded to T once, as the reference stores them. */
export function parametersInOrder({ module, args }: Member, range: Range, G: number | null): QParams {
  const { dtype } = module.weight;
  const parameters = qparams(range, args, 'F32', G);
  if (args.scale_dtype !== null) return parameters;
  return { ...parameters, scale: roundArray(parameters.scale, dtype).map(s => s || machineEpsilon(dtype)) };
}
