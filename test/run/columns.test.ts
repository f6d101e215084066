import assert from 'node:assert/strict';
import { gptqColumns } from '../../src/numerics/columns.js';
import { gptqFactor, importanceOrder, type ColumnsProblem, type Hessian } from '../../src/numerics/gptq.js';
import { accumulateRange, emptyRange, makeGrid } from '../../src/numerics/grid.js';
import { qparams } from '../../src/numerics/qparams.js';
import { gptqColumnsOn } from '../../src/run/columns.js';
import { createJobs } from '../../src/run/pool.js';
import { normal } from '../support/numbers.js';

describe('GPTQ in jobs', () => {
  const n = 80;
  const values = new Float64Array(n * n);
  const x = normal(n * n * 2, 1);
  for (let t = 0; t < 2 * n; t++)
    for (let i = 0; i < n; i++) for (let j = i; j < n; j++) values[i * n + j]! += x[t * n + i]! * x[t * n + j]!;
  const hessian: Hessian = { n, values };
  const order = importanceOrder(hessian);

  for (const threads of [0, 1]) {
    it(`gives the factor, codes and losses of the plain functions with ${threads} threads beside this one`, async () => {
      const jobs = createJobs(threads);
      try {
        const options = { damping: 0.01, order };
        const factor = await jobs.run({ kind: 'factor', hessian, options });
        assert.deepEqual(factor, gptqFactor(hessian, options));
        for (const [blockRows, symmetric] of [
          [1, true],
          [48, false],
        ] as const) {
          const args = { num_bits: 4, type: 'int', symmetric, scale_dtype: null } as const;
          const grid = makeGrid(150, n, blockRows, 20);
          const weight = normal(150 * n, 2, 0.1);
          const range = emptyRange(grid);
          accumulateRange(weight, 0, grid, range);
          const problem: ColumnsProblem = {
            ...{ weight, fromRow: 0, factor: factor!, order, grid, groupIndex: null, args },
            ...{ parameters: qparams(range, args, 'BF16'), dtype: 'BF16', blockSize: 32 },
          };
          assert.deepEqual(await gptqColumnsOn(jobs, problem), gptqColumns(problem));
        }
      } finally {
        await jobs.close();
      }
    });
  }
});
