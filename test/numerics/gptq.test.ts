import assert from 'node:assert/strict';
import fc from 'fast-check';
import { gptqColumns } from '../../src/numerics/columns.js';
import { accumulateRange, emptyRange, makeGrid, type Grid } from '../../src/numerics/grid.js';
import {
  gptqFactor,
  importanceOrder,
  type ColumnsProblem,
  type ColumnsResult,
  type Factor,
  type Hessian,
} from '../../src/numerics/gptq.js';
import { TYPESCRIPT_KERNELS } from '../../src/numerics/kernels.js';
import { qparams, type Quantizer } from '../../src/numerics/qparams.js';
import { dequantize, quantize } from '../../src/numerics/quantize.js';
import { createKernels } from '../../src/numerics/wasm.js';
import { normal, seeded } from '../support/numbers.js';

const kernels = createKernels();

/** sum x xᵀ over tokens whose numbers hang together; only the upper triangle is filled in. */
function hessianOf(n: number, seed: number, { tokens = 2 * n, dead = [] as readonly number[] } = {}): Hessian {
  const [noise, common] = [normal(tokens * n, seed), normal(tokens, seed + 1)];
  const values = new Float64Array(n * n).fill(NaN);
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) values[i * n + j] = 0;
  const x = new Float64Array(n);
  for (let t = 0; t < tokens; t++) {
    for (let j = 0; j < n; j++) x[j] = dead.includes(j) ? 0 : noise[t * n + j]! * (1 + (j % 7)) + 3 * common[t]!;
    for (let i = 0; i < n; i++) for (let j = i; j < n; j++) values[i * n + j]! += x[i]! * x[j]!;
  }
  return { n, values };
}

const at = ({ n, values }: Hessian, i: number, j: number): number => values[i < j ? i * n + j : j * n + i]!;

/** H as it is factored: in order, damped, with 1 in the place of zeros of the diagonal. */
function damped(hessian: Hessian, damping: number, order: Int32Array | null): number[][] {
  const { n } = hessian;
  const columns = Array.from({ length: n }, (_, j) => (order === null ? j : order[j]!));
  const diagonal = columns.map(c => at(hessian, c, c) || 1);
  const extra = (damping * diagonal.reduce((a, b) => a + b)) / n;
  return columns.map((a, i) => columns.map((b, j) => (i === j ? diagonal[i]! + extra : at(hessian, a, b))));
}

/** The largest |UᵀU H - I|. */
function residue({ n, U }: Factor, H: readonly (readonly number[])[]): number {
  let worst = 0;
  for (let c = 0; c < n; c++) {
    const y = Float64Array.from({ length: n }, (_, i) => {
      let sum = 0;
      for (let j = i; j < n; j++) sum += U[i * n + j]! * H[j]![c]!;
      return sum;
    });
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j <= i; j++) sum += U[j * n + i]! * y[j]!;
      worst = Math.max(worst, Math.abs(sum - (i === c ? 1 : 0)));
    }
  }
  return worst;
}

describe('gptqFactor', () => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(63, 64, 65, 128, 200));

  it('gives UᵀU H = I, U upper triangular, for every size and order, and leaves H as it was', () => {
    fc.assert(
      fc.property(sizes, fc.boolean(), fc.constantFrom(0.01, 0.3), fc.integer(), (n, ordered, damping, seed) => {
        const hessian = hessianOf(n, seed, { tokens: n + 3 });
        const before = hessian.values.slice();
        const order = ordered ? importanceOrder(hessian) : null;
        const factor = gptqFactor(hessian, { damping, order }, kernels)!;
        assert.deepEqual(hessian.values, before);
        assert.ok(residue(factor, damped(hessian, damping, order)) < 1e-4); // U is float32
        for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) assert.equal(factor.U[i * n + j], 0);
        assert.ok(factor.U.buffer instanceof SharedArrayBuffer);
      }),
      { numRuns: 40 },
    );
  });

  it('gives the same bits with both kernels, over several blocks and pieces of them', () => {
    for (const n of [7, 64, 150, 400]) {
      const hessian = hessianOf(n, n, { tokens: 30 });
      const [a, b] = [kernels, TYPESCRIPT_KERNELS].map(k => gptqFactor(hessian, { damping: 0.01, order: null }, k)!);
      assert.deepEqual(a, b);
    }
  });

  it('gives the same factor of H times a power of 4, but for its scale', () => {
    const hessian = hessianOf(100, 1);
    const scaled = { n: 100, values: hessian.values.map(v => v / 64) };
    const [a, b] = [hessian, scaled].map(h => gptqFactor(h, { damping: 0.01, order: importanceOrder(h) }, kernels)!);
    assert.deepEqual(
      a!.U.map(v => v * 8),
      b!.U,
    );
  });

  it('names dead columns and gives them a row of their own', () => {
    const hessian = hessianOf(80, 2, { dead: [0, 41, 79] });
    const order = importanceOrder(hessian);
    const factor = gptqFactor(hessian, { damping: 0.01, order }, kernels)!;
    assert.deepEqual([...factor.dead], [0, 41, 79]);
    assert.deepEqual([...order.slice(-3)], [0, 41, 79]);
    assert.ok(residue(factor, damped(hessian, 0.01, order)) < 1e-4);
  });

  it('is null for what is not positive definite, or not a number', () => {
    const rankDeficient = hessianOf(90, 3, { tokens: 20 });
    assert.equal(gptqFactor(rankDeficient, { damping: -1e-6, order: null }, kernels), null);
    assert.notEqual(gptqFactor(rankDeficient, { damping: 0.01, order: null }, kernels), null);
    for (const bad of [NaN, Infinity, -1]) {
      const broken = hessianOf(90, 4);
      broken.values[70 * 90 + 70] = bad;
      assert.equal(gptqFactor(broken, { damping: 0.01, order: null }, kernels), null);
    }
  });
});

const quantizers = fc.constantFrom<Quantizer>(
  { num_bits: 4, type: 'int', symmetric: true, scale_dtype: null },
  { num_bits: 3, type: 'int', symmetric: false, scale_dtype: null },
  { num_bits: 8, type: 'float', symmetric: true, scale_dtype: null },
  { num_bits: 4, type: 'float', symmetric: true, scale_dtype: 'torch.uint8' },
);

function problemOf(
  grid: Grid,
  hessian: Hessian,
  seed: number,
  given: Partial<ColumnsProblem> & { ordered?: boolean } = {},
): ColumnsProblem {
  const args = given.args ?? { num_bits: 4, type: 'int', symmetric: true, scale_dtype: null };
  const weight = normal(grid.rows * grid.columns, seed, 0.05);
  const range = emptyRange(grid);
  accumulateRange(weight, 0, grid, range);
  const order = given.ordered === false ? null : importanceOrder(hessian);
  const factor = gptqFactor(hessian, { damping: 0.01, order }, kernels)!;
  const parameters = qparams(range, args, 'F32');
  const rest = { fromRow: 0, groupIndex: null, dtype: 'F32', blockSize: 128 } as const;
  return { weight, factor, order, parameters, grid, args, ...rest, ...given };
}

const valuesOf = ({ grid, parameters, args, groupIndex }: ColumnsProblem, { codes }: ColumnsResult): Float32Array =>
  dequantize(codes, 0, grid, parameters, args, groupIndex);

/** tr(ΔW H ΔWᵀ) */
function proxyLoss({ weight }: ColumnsProblem, q: Float32Array, hessian: Hessian): number {
  const { n } = hessian;
  let sum = 0;
  for (let from = 0; from < weight.length; from += n) {
    const delta = weight.subarray(from, from + n).map((w, j) => w - q[from + j]!);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) sum += delta[i]! * at(hessian, i, j) * delta[j]!;
  }
  return sum;
}

const total = (loss: Float64Array): number => loss.reduce((sum, v) => sum + v, 0);

describe('gptqColumns', () => {
  const hessian = hessianOf(96, 11);
  const grids = fc.constantFrom<[number, number]>([1, 32], [1, 96], [70, 96], [5, 17], [1, 16]);

  it('does what the paper writes, column by column', () => {
    fc.assert(
      fc.property(
        grids,
        quantizers,
        fc.boolean(),
        fc.constantFrom(1, 7, 32, 96, 500),
        (block, args, ordered, blockSize) => {
          const problem = problemOf(makeGrid(9, 96, ...block), hessian, 3, { args, ordered, blockSize });
          const { codes, loss } = gptqColumns(problem, kernels);
          const expected = byDefinition(problem);
          assert.deepEqual([...codes], expected.codes);
          for (const [row, own] of expected.loss.entries()) assert.ok(Math.abs(loss[row]! - own) <= 1e-6 * own);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives the same bits with both kernels', () => {
    fc.assert(
      fc.property(
        grids,
        quantizers,
        fc.constantFrom(5, 40),
        fc.constantFrom<'F32' | 'BF16' | 'F16'>('F32', 'BF16', 'F16'),
        (block, args, blockSize, dtype) => {
          const problem = problemOf(makeGrid(70, 96, ...block), hessian, 4, { args, blockSize, dtype });
          assert.deepEqual(gptqColumns(problem, kernels), gptqColumns(problem, TYPESCRIPT_KERNELS));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('does not depend on how rows are cut', () => {
    fc.assert(
      fc.property(grids, quantizers, fc.integer({ min: 1, max: 69 }), (block, args, cut) => {
        const problem = problemOf(makeGrid(70, 96, ...block), hessian, 5, { args });
        const whole = gptqColumns(problem, kernels);
        const [a, b] = [
          { fromRow: 0, weight: problem.weight.subarray(0, cut * 96) },
          { fromRow: cut, weight: problem.weight.subarray(cut * 96) },
        ].map(rows => gptqColumns({ ...problem, ...rows }, kernels));
        assert.deepEqual([...a!.codes, ...b!.codes], [...whole.codes]);
        assert.deepEqual([...a!.loss, ...b!.loss], [...whole.loss]);
      }),
      { numRuns: 30 },
    );
  });

  it('never leaves more of the proxy loss than round to nearest where columns hang together', () => {
    fc.assert(
      fc.property(quantizers, fc.boolean(), fc.integer({ min: 0, max: 1000 }), (args, ordered, seed) => {
        const own = hessianOf(64, seed);
        const problem = problemOf(makeGrid(16, 64, 1, 32), own, seed, { args, ordered });
        const { grid, parameters, weight } = problem;
        const nearest = dequantize(quantize(weight, 0, grid, parameters, args, 'F32'), 0, grid, parameters, args);
        const [ours, theirs] = [valuesOf(problem, gptqColumns(problem, kernels)), nearest].map(q =>
          proxyLoss(problem, q, own),
        );
        assert.ok(ours! <= theirs!, `${ours} > ${theirs}`);
      }),
      { numRuns: 30 },
    );
  });

  it('hardly depends on the size of its blocks', () => {
    const losses = [1, 8, 32, 96].map(blockSize =>
      total(gptqColumns(problemOf(makeGrid(64, 96, 1, 32), hessian, 6, { blockSize }), kernels).loss),
    );
    for (const loss of losses) assert.ok(Math.abs(loss / losses[0]! - 1) < 1e-2, losses.join(', '));
  });

  it('gives 0 in dead columns, with and without zero points', () => {
    const own = hessianOf(96, 12, { dead: [5, 60] });
    for (const symmetric of [true, false]) {
      const args: Quantizer = { num_bits: 4, type: 'int', symmetric, scale_dtype: null };
      const problem = problemOf(makeGrid(20, 96, 1, 32), own, 7, { args });
      const q = valuesOf(problem, gptqColumns(problem, kernels));
      for (let row = 0; row < 20; row++) assert.deepEqual([q[row * 96 + 5], q[row * 96 + 60]], [0, 0]);
    }
  });

  it('takes groups that lie anywhere, and one global scale', () => {
    const random = seeded(8);
    const groupIndex = Int32Array.from({ length: 96 }, () => Math.floor(random() * 3));
    const grid = makeGrid(10, 96, 1, 32);
    const parameters = {
      scale: Float32Array.from({ length: 30 }, (_, i) => 20 + i),
      zeroPoint: null,
      globalScale: 3000,
    };
    const problem = problemOf(grid, hessian, 9, { groupIndex, parameters, blockSize: 32 });
    assert.deepEqual([...gptqColumns(problem, kernels).codes], byDefinition(problem).codes);
  });
});

/** Algorithm 1, one row and one column after the other, in float32. */
function byDefinition(problem: ColumnsProblem): { codes: number[]; loss: number[] } {
  const { grid, factor, order, groupIndex, args, parameters, blockSize, weight } = problem;
  const { columns } = grid;
  const f = Math.fround;
  const codes = new Array<number>(weight.length);
  const loss: number[] = [];
  const column = (j: number): number => (order === null ? j : order[j]!);
  const u = (i: number, j: number): number => factor.U[i * columns + j]!;
  for (let row = 0; row < grid.rows; row++) {
    const w = Float32Array.from({ length: columns }, (_, j) => weight[row * columns + column(j)]!);
    const e = new Float32Array(columns);
    let sum = 0;
    for (let i1 = 0; i1 < columns; i1 += blockSize) {
      const i2 = Math.min(i1 + blockSize, columns);
      for (let i = i1; i < i2; i++) {
        const c = column(i);
        const g = groupIndex?.[c] ?? Math.floor(c / grid.blockColumns);
        const block = Math.floor(row / grid.blockRows) * grid.gridColumns + g;
        const one = {
          scale: parameters.scale.subarray(block, block + 1),
          zeroPoint: parameters.zeroPoint?.subarray(block, block + 1) ?? null,
          globalScale: parameters.globalScale,
        };
        const cell = makeGrid(1, 1, 1, 1);
        const code = quantize(w.subarray(i, i + 1), 0, cell, one, args, 'F32');
        // a zero is stored without its sign
        codes[row * columns + c] =
          dequantize(code, 0, cell, one, args)[0] === 0
            ? quantize(Float32Array.of(0), 0, cell, one, args, 'F32')[0]!
            : code[0]!;
        e[i] = f(w[i]! - dequantize(code, 0, cell, one, args)[0]!) / u(i, i);
        sum += e[i]! ** 2 / 2;
        for (let j = i + 1; j < i2; j++) w[j] = w[j]! - f(e[i]! * u(i, j));
      }
      for (let j = i2; j < columns; j++) {
        let update = 0;
        for (let i = i1; i < i2; i++) update = f(update + f(e[i]! * u(i, j)));
        w[j] = w[j]! - update;
      }
    }
    loss.push(sum);
  }
  return { codes, loss };
}
