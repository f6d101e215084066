import type { ColumnsProblem, ColumnsResult } from '../numerics/gptq.js';
import { makeCodes } from '../numerics/quantize.js';
import { flow } from './flow.js';
import { cutGrid, cutParameters, shareParameters } from './jobs.js';
import type { Jobs } from './pool.js';
import type { RowPiece } from './weights.js';

/** Rows of a job: as many as go through the columns together. */
const ROWS = 64;

/** `gptqColumns` on all threads: rows do not know each other. */
export async function gptqColumnsOn(jobs: Jobs, problem: ColumnsProblem): Promise<ColumnsResult> {
  const { weight, grid, fromRow } = problem;
  const rows = weight.length / grid.columns;
  const parameters = shareParameters(problem.parameters);
  const result = { codes: makeCodes(problem.args, weight.length), loss: new Float64Array(rows) };
  await flow(pieces(rows), jobs.parallel, {
    load: ({ from, to }) => Promise.resolve(weight.slice(from * grid.columns, to * grid.columns)),
    work(piece, { from, to }) {
      const cut = cutGrid(grid, fromRow + from, fromRow + to);
      return jobs.run({
        ...problem,
        kind: 'columns',
        weight: piece,
        fromRow: cut.fromRow,
        grid: cut.grid,
        parameters: cutParameters(parameters, cut.firstBlock, cut.grid),
      });
    },
    land({ codes, loss }, _, { from }) {
      result.codes.set(codes, from * grid.columns);
      result.loss.set(loss, from);
      return Promise.resolve();
    },
  });
  return result;
}

function* pieces(rows: number): Generator<RowPiece> {
  for (let from = 0; from < rows; from += ROWS) yield { from, to: Math.min(rows, from + ROWS) };
}
