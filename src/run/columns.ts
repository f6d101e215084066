import type { ColumnsProblem, ColumnsResult } from '../numerics/gptq.js';
import { makeCodes } from '../numerics/quantize.js';
import { flow } from './flow.js';
import { shareParameters } from './jobs.js';
import type { Jobs } from './pool.js';

/** Rows of a job: a few tiles of the column loop. A constant, though no result depends on it. */
const ROWS = 256;

/** `gptqColumns` on all threads: rows do not know each other. */
export async function gptqColumnsOn(jobs: Jobs, problem: ColumnsProblem): Promise<ColumnsResult> {
  const { weight, fromRow, parameters, args, grid } = problem;
  const { columns } = grid;
  const rows = weight.length / columns;
  const shared = shareParameters(parameters);
  const codes = makeCodes(args, weight.length);
  const loss = new Float64Array(rows);
  const pieces = Array.from({ length: Math.ceil(rows / ROWS) }, (_, i) => i * ROWS);
  await flow(pieces, jobs.parallel, {
    load: from => Promise.resolve(weight.slice(from * columns, (from + ROWS) * columns)),
    work: (piece, from) =>
      jobs.run({ ...problem, kind: 'columns', weight: piece, fromRow: fromRow + from, parameters: shared }),
    land(result, _, from) {
      codes.set(result.codes, from * columns);
      loss.set(result.loss, from);
      return Promise.resolve();
    },
  });
  return { codes, loss };
}
