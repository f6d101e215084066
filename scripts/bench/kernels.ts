import { measure } from 'mitata';
import { gptqColumns } from '../../src/numerics/columns.js';
import { gptqFactor } from '../../src/numerics/gptq.js';
import { makeGrid } from '../../src/numerics/grid.js';
import { Blank, TYPESCRIPT_KERNELS, type Kernels } from '../../src/numerics/kernels.js';
import { encodeRows, rangeOfRows } from '../../src/numerics/passes.js';
import { qparams, type Quantizer } from '../../src/numerics/qparams.js';
import { createKernels } from '../../src/numerics/wasm.js';
import { normals } from './model.js';

/** Nanoseconds per element of a kernel and of its twin. */
export interface KernelRow {
  readonly name: string;
  readonly typescript: number;
  readonly wasm: number;
}

const COLUMNS = 4096;
const INT4: Quantizer = { num_bits: 4, type: 'int', symmetric: true, scale_dtype: null };
const FP8: Quantizer = { num_bits: 8, type: 'float', symmetric: true, scale_dtype: null };
const FP4: Quantizer = { num_bits: 4, type: 'float', symmetric: true, scale_dtype: 'torch.float8_e4m3fn' };

/**
 * Every kernel on one row of 4096 bfloat16 columns, groups of 128 unless the name says otherwise; those of GPTQ, and what it makes of them;
 * then the two passes of a run, which are made of them, on 256 rows.
 */
export async function benchKernels(): Promise<KernelRow[]> {
  const rows: KernelRow[] = [];
  const twins = cases(TYPESCRIPT_KERNELS);
  for (const wasm of cases(createKernels())) {
    const twin = twins.next().value as Case;
    const row = { name: wasm.name, typescript: Infinity, wasm: Infinity };
    for (let turn = 0; turn < TURNS; turn++) {
      row.typescript = Math.min(row.typescript, await time(twin));
      row.wasm = Math.min(row.wasm, await time(wasm));
    }
    rows.push(row);
  }
  return rows;
}

/** The two of a row take turns, so that both see quiet moments. */
const TURNS = 3;

/** Nanoseconds per element, the least of many: whatever else the machine does only adds to it. */
async function time({ run, elements }: Case): Promise<number> {
  const { min } = await measure(run, { min_cpu_time: 20e6, min_samples: 12 });
  return min / elements;
}

interface Case {
  readonly name: string;
  readonly elements: number;
  readonly run: () => unknown;
}

function* cases(kernels: Kernels): Generator<Case> {
  const bits = new Uint16Array(256 * COLUMNS);
  normals(7)(bits);
  const stored = new Uint8Array(bits.buffer);

  yield* rowCases(kernels, stored);
  yield* gptqCases(kernels);
  for (const [name, args, blockColumns, G] of [
    ['int4', INT4, 128, null],
    ['fp8', FP8, COLUMNS, null],
    ['fp4', FP4, 16, 20000],
  ] as const) {
    const rows = { bytes: stored, dtype: 'BF16' as const, fromRow: 0, grid: makeGrid(256, COLUMNS, 1, blockColumns) };
    const elements = 256 * COLUMNS;
    const q = qparams(rangeOfRows(TYPESCRIPT_KERNELS, rows).range, args, 'BF16', G);
    yield { name: `pass: range, ${name}`, elements, run: () => rangeOfRows(kernels, rows) };
    yield {
      name: `pass: encode, ${name}`,
      elements,
      run: () => encodeRows(kernels, rows, q, args, { arithmetic: 'reference', codes: null }),
    };
  }
}

function* rowCases(kernels: Kernels, stored: Uint8Array): Generator<Case> {
  const row = new Blank(Float32Array, COLUMNS);
  const sum = new Float64Array(1);
  const blocks = COLUMNS / 16;
  const at = kernels.place({
    stored,
    x: row,
    values: row,
    by: { scale: row, zero: null },
    q: { scale: new Float32Array(blocks).fill(0.004), zeroPoint: null, globalScale: null },
    range: { min: new Float32Array(blocks), max: new Float32Array(blocks) },
    signed: new Int8Array(COLUMNS),
    unsigned: new Uint8Array(COLUMNS),
    error: { squaredError: sum, squares: sum, maxError: sum },
    usage: new Uint32Array(256),
  });
  const one = (name: string, run: () => unknown): Case => ({ name, elements: COLUMNS, run });
  const halves = new Uint16Array(COLUMNS).fill(0x3555);
  at.stored.set(new Uint8Array(halves.buffer), 2 * COLUMNS);
  for (const [dtype, from] of [
    ['F16', COLUMNS],
    ['BF16', 0],
  ] as const)
    yield one(`widenRow, ${dtype}`, () => kernels.widenRow(at.stored, from, dtype, at.x));
  kernels.widenRow(at.stored, 0, 'BF16', at.x);
  yield one('firstNonFinite', () => kernels.firstNonFinite(at.x));
  for (const blockColumns of [16, 128]) {
    const grid = makeGrid(1, COLUMNS, 1, blockColumns);
    yield one(`accumulateRange, ${blockColumns}`, () => kernels.accumulateRange(at.x, 0, grid, at.range));
  }
  for (const blockColumns of [16, 128])
    yield one(`spreadBlocks, ${blockColumns}`, () => kernels.spreadBlocks(at.q, 0, blockColumns, at.by));
  for (const T of ['F16', 'F32', 'BF16'] as const)
    yield one(`scaleRow, ${T}`, () => kernels.scaleRow(at.x, 0, at.by, T, at.values));
  for (const [name, args, codes] of [
    ['fp8', FP8, at.unsigned],
    ['fp4', FP4, at.unsigned],
    ['int4', INT4, at.signed],
  ] as const) {
    kernels.scaleRow(at.x, 0, at.by, 'BF16', at.values);
    yield one(`encodeRow, ${name}`, () => kernels.encodeRow(at.values, args, codes, 0));
    yield one(`decodeRow, ${name}`, () => kernels.decodeRow(codes, 0, args, at.by, at.x, 0));
    kernels.widenRow(at.stored, 0, 'BF16', at.x);
  }
  yield one('accumulateError', () => kernels.accumulateError(at.x, at.values, 0, COLUMNS, at.error));
  yield one('countCodes, int4', () => kernels.countCodes(at.signed, at.usage));
}

/** Products of 64 terms, and what GPTQ makes of them for 256 rows of 576 columns. */
function* gptqCases(kernels: Kernels): Generator<Case> {
  const [n, rows, side] = [576, 256, 64];
  const x = new Float32Array(side * (side + 16)).fill(0.01);
  for (const Type of [Float32Array, Float64Array]) {
    const arrays = { C: new Type(x), A: new Type(x), B: new Type(x) };
    const shape = { m: side, n: side, k: side };
    const run = () => {
      const at = kernels.place(arrays);
      const [C, A, B] = [at.C, at.A, at.B].map(values => ({ values, at: 0, stride: side + 16 }));
      for (let i = 0; i < 8; i++) kernels.subtractProduct(C!, A!, B!, shape);
    };
    yield { name: `subtractProduct, ${Type === Float32Array ? 'F32' : 'F64'}`, elements: 8 * side * side, run };
  }
  const values = Float64Array.from({ length: n * n }, (_, at) => 0.8 ** Math.abs(Math.floor(at / n) - (at % n)));
  const options = { damping: 0.01, order: null };
  const factor = gptqFactor({ n, values }, options, createKernels())!;
  yield { name: 'gptqFactor', elements: n * n, run: () => gptqFactor({ n, values }, options, kernels) };
  const problem = {
    ...{ weight: new Float32Array(rows * n), fromRow: 0, factor, order: null, groupIndex: null, args: INT4 },
    grid: makeGrid(rows, n, 1, n),
    parameters: { scale: new Float32Array(rows).fill(0.004), zeroPoint: null, globalScale: null },
    ...({ dtype: 'BF16', blockSize: 128 } as const),
  };
  problem.weight.forEach((_, at) => (problem.weight[at] = Math.sin(at) / 40));
  yield { name: 'gptqColumns, int4', elements: rows * n, run: () => gptqColumns(problem, kernels) };
}
