import assert from 'node:assert/strict';
import fc from 'fast-check';
import { narrow, widen, type ModelDType } from '../../src/numerics/dtypes.js';
import { accumulateError, emptyError } from '../../src/numerics/error.js';
import { accumulateRange, emptyRange, makeGrid, type Grid, type QParams } from '../../src/numerics/grid.js';
import { TYPESCRIPT_KERNELS, type Kernels } from '../../src/numerics/kernels.js';
import { encodeRows, rangeOfRows, type Rows } from '../../src/numerics/passes.js';
import { MseSearch } from '../../src/numerics/mse.js';
import { codeRange, qparams, type Quantizer } from '../../src/numerics/qparams.js';
import { dequantize, makeCodes, quantize } from '../../src/numerics/quantize.js';
import { scaleRow } from '../../src/numerics/rows.js';
import { createKernels } from '../../src/numerics/wasm.js';
import { normal, seeded } from '../support/numbers.js';

const float32 = fc.float({ noNaN: true, min: Math.fround(-1e30), max: Math.fround(1e30) });
/** Times 2^15: float16's largest number, and what is as near to it as to infinity, with its neighbour. */
const aroundInfinity = fc.constantFrom(1.9990234375, -1.99951171875, 1.9995115995407104);
const dtypes = fc.constantFrom<ModelDType>('F32', 'BF16', 'F16');
const quantizers = fc.oneof(
  fc
    .record({ num_bits: fc.integer({ min: 1, max: 8 }), symmetric: fc.boolean() })
    .map((args): Quantizer => ({ ...args, type: 'int', scale_dtype: null })),
  fc
    .constantFrom<[number, Quantizer['scale_dtype']]>(
      [8, null],
      [4, null],
      [4, 'torch.uint8'],
      [8, 'torch.uint8'],
      [4, 'torch.float8_e4m3fn'],
    )
    .map(([num_bits, scale_dtype]): Quantizer => ({ num_bits, scale_dtype, type: 'float', symmetric: true })),
);
/** Rows of any width, in blocks of any shape, beginning anywhere. */
const shapes = fc
  .record({
    rows: fc.integer({ min: 1, max: 6 }),
    columns: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(32, 61, 64, 96)),
    blockRows: fc.integer({ min: 1, max: 4 }),
    blockColumns: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(16, 32, 200)),
    skip: fc.nat({ max: 3 }),
  })
  .map(({ rows, columns, blockRows, blockColumns, skip }) => {
    const fromRow = skip % blockRows;
    return { rows, fromRow, grid: makeGrid(rows + fromRow, columns, blockRows, blockColumns) };
  });

/** Numbers of a dtype, none of them NaN or infinite: ordinary weights, or any bits at all. */
function stored(count: number, dtype: ModelDType, seed: number, wild: boolean): Uint8Array {
  if (!wild) return narrow(normal(count, seed, 0.02), dtype).slice();
  const next = seeded(seed);
  const bits = Uint32Array.from({ length: count }, () => Math.floor(next() * 2 ** 32));
  if (dtype === 'F32') return narrow(finite(new Float32Array(bits.buffer)), 'F32').slice();
  return narrow(finite(widen(new Uint8Array(Uint16Array.from(bits).buffer), dtype)), dtype).slice();
}

/** Zeros of both signs take the place of what is not finite. */
const finite = (values: Float32Array): Float32Array =>
  values.map((v, i) => (Number.isFinite(v) ? v : i % 2 === 0 ? 0 : -0));

/** Parameters that no range would give: scales far too small or large, zero points anywhere. */
function strangeParameters({ gridRows, gridColumns }: Grid, args: Quantizer, G: number | null, seed: number): QParams {
  const next = seeded(seed);
  const blocks = gridRows * gridColumns;
  const { lowest, highest } = codeRange(args);
  return {
    scale: Float32Array.from({ length: blocks }, () => Math.fround((0.5 + next()) * 2 ** Math.floor(next() * 60 - 40))),
    zeroPoint: args.symmetric
      ? null
      : Int8Array.from({ length: blocks }, () => lowest + Math.floor(next() * (highest - lowest + 1))),
    globalScale: G,
  };
}

describe('kernels', () => {
  const wasm = createKernels();
  const both: readonly Kernels[] = [wasm, TYPESCRIPT_KERNELS];

  it('WebAssembly is in use here', () => assert.notEqual(wasm, TYPESCRIPT_KERNELS));

  it('give the range of accumulateRange, bit for bit', () => {
    fc.assert(
      fc.property(dtypes, shapes, fc.integer(), fc.boolean(), (dtype, { rows, fromRow, grid }, seed, wild) => {
        const bytes = stored(rows * grid.columns, dtype, seed, wild);
        const range = emptyRange(grid);
        accumulateRange(widen(bytes, dtype), fromRow, grid, range);
        for (const kernels of both)
          assert.deepEqual(rangeOfRows(kernels, { bytes, dtype, fromRow, grid }), { range, nonFinite: -1 });
      }),
      { numRuns: 500 },
    );
  });

  it('find the first element that is not finite', () => {
    fc.assert(
      fc.property(
        dtypes,
        shapes,
        fc.constantFrom(NaN, -NaN, Infinity, -Infinity),
        fc.nat(),
        (dtype, shape, bad, place) => {
          const { rows, fromRow, grid } = shape;
          const x = normal(rows * grid.columns, place);
          const at = place % x.length;
          x[at] = bad;
          x[Math.min(at + 3, x.length - 1)] = bad;
          const bytes = narrow(x, dtype);
          for (const kernels of both) assert.equal(rangeOfRows(kernels, { bytes, dtype, fromRow, grid }).nonFinite, at);
        },
      ),
    );
  });

  it('give the codes of quantize and the errors of accumulateError, bit for bit', () => {
    fc.assert(
      fc.property(
        dtypes,
        shapes,
        quantizers,
        fc.constantFrom<'reference' | 'exact'>('reference', 'exact'),
        fc.integer(),
        fc.boolean(),
        fc.constantFrom(null, 0.75, 3000),
        (dtype, shape, args, arithmetic, seed, wild, G) => {
          const rows = rowsOf(shape, dtype, seed, wild);
          const q = wild
            ? strangeParameters(shape.grid, args, G, seed)
            : qparams(rangeOfRows(TYPESCRIPT_KERNELS, rows).range, args, dtype, args.symmetric ? G : null);
          const expected = expectedOf(rows, q, args, arithmetic);
          for (const kernels of both)
            assert.deepEqual(encodeRows(kernels, rows, q, args, { arithmetic, codes: null }), expected);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('take codes that are known', () => {
    fc.assert(
      fc.property(dtypes, shapes, quantizers, fc.integer(), (dtype, shape, args, seed) => {
        const rows = rowsOf(shape, dtype, seed, false);
        const q = strangeParameters(shape.grid, args, null, seed);
        const { lowest, highest } = codeRange(args);
        const next = seeded(seed);
        const codes = makeCodes(args, shape.rows * shape.grid.columns).map(() => {
          if (args.type === 'int') return lowest + Math.floor(next() * (highest - lowest + 1));
          return args.num_bits === 4 ? Math.floor(next() * 16) : Math.floor(next() * 127) + (next() < 0.5 ? 128 : 0);
        });
        const [a, b] = both.map(kernels => encodeRows(kernels, rows, q, args, { arithmetic: 'exact', codes }));
        assert.deepEqual(a, b);
        assert.equal(a!.codes, codes);
        const { error } = expectedOf(rows, q, args, 'exact', codes);
        assert.deepEqual(a!.error, error);
        assert.equal(a!.referenceError, null);
      }),
      { numRuns: 500 },
    );
  });

  it('search the same ranges', () => {
    fc.assert(
      fc.property(dtypes, shapes, quantizers, fc.boolean(), fc.integer(), (dtype, shape, args, grouped, seed) => {
        const { rows, grid } = { ...shape, grid: makeGrid(shape.rows, shape.grid.columns, 1, shape.grid.blockColumns) };
        const x = widen(stored(rows * grid.columns, dtype, seed, false), dtype);
        const range = emptyRange(grid);
        accumulateRange(x, 0, grid, range);
        const [a, b] = [createKernels(), TYPESCRIPT_KERNELS].map(kernels => {
          const strategy = grouped ? 'tensor_group' : 'group';
          const search = new MseSearch(
            grid,
            range,
            { ...args, strategy },
            dtype,
            { maxshrink: 0.4, norm: 2.4 },
            kernels,
          );
          search.update(x);
          return search.finish();
        });
        assert.deepEqual(a, b);
      }),
      { numRuns: 200 },
    );
  });

  it('subtract the same products', () => {
    const sizes = fc.record({
      m: fc.integer({ min: 1, max: 9 }),
      n: fc.constantFrom(8, 16, 24),
      k: fc.nat({ max: 40 }),
    });
    fc.assert(
      fc.property(sizes, fc.boolean(), fc.nat({ max: 3 }), fc.integer(), (shape, single, at, seed) => {
        const { m, n, k } = shape;
        const Type = single ? Float32Array : Float64Array;
        const made = (rows: number, stride: number, salt: number) =>
          new Type(normal(at + rows * stride, seed + salt)).map(v => v * 1.1);
        const arrays = { C: made(m, n + 3, 0), A: made(k, m + 2, 1), B: made(k, n + 5, 2) };
        const [a, b] = both.map(kernels => {
          const placed = kernels.place({ C: arrays.C.slice(), A: arrays.A, B: arrays.B });
          const tile = (values: typeof arrays.C, stride: number) => ({ values, at, stride });
          kernels.subtractProduct(tile(placed.C, n + 3), tile(placed.A, m + 2), tile(placed.B, n + 5), shape);
          return placed.C.slice();
        });
        assert.deepEqual(a, b);
        // by definition, up to rounding
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let sum = arrays.C[at + i * (n + 3) + j]!;
            for (let l = 0; l < k; l++) sum -= arrays.A[at + l * (m + 2) + i]! * arrays.B[at + l * (n + 5) + j]!;
            assert.ok(Math.abs(a![at + i * (n + 3) + j]! - sum) < (single ? 1e-4 : 1e-12));
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('pass errors on alike', () => {
    fc.assert(
      fc.property(dtypes, fc.constantFrom(16, 32, 64), fc.nat({ max: 20 }), fc.integer(), (T, rows, k, seed) => {
        const arrays = {
          w: normal(rows, seed),
          q: normal(rows, seed + 1),
          e: normal((k + 1) * (rows + 8), seed + 2),
          u: normal((k + 1) * 5, seed + 3),
          loss: new Float64Array(normal(rows, seed + 4)),
        };
        const [a, b] = both.map(kernels => {
          const { w, q, e, u, loss } = kernels.place({
            ...{ w: arrays.w.slice(), q: arrays.q.slice(), e: arrays.e.slice(), u: arrays.u },
            loss: arrays.loss.slice(),
          });
          const [errors, factors] = [
            { values: e, at: 0, stride: rows + 8 },
            { values: u, at: 2, stride: 5 },
          ];
          kernels.subtractTerms(w, errors, factors, k);
          kernels.formError(w, q, T, Math.fround(0.37), e.subarray(k * (rows + 8), k * (rows + 8) + rows), loss);
          return { w: w.slice(), q: q.slice(), e: e.slice(), loss: loss.slice() };
        });
        assert.deepEqual(a, b);
      }),
      { numRuns: 500 },
    );
  });

  it('round to T from the smallest subnormals to infinity', () => {
    const kernels = createKernels();
    fc.assert(
      fc.property(
        dtypes,
        fc.array(
          fc.tuple(
            fc.oneof(float32, aroundInfinity),
            fc.integer({ min: -30, max: 20 }),
            fc.integer({ min: -8, max: 8 }),
          ),
          {
            minLength: 1,
            maxLength: 40,
          },
        ),
        fc.boolean(),
        (T, columns, asymmetric) => {
          // mantissas of x over powers of two: around every place where float16 and bfloat16 change their spacing
          const arrays = {
            x: Float32Array.from(columns, ([x]) =>
              Math.abs(x) < 2 ** -20 ? x : x / 2 ** Math.floor(Math.log2(Math.abs(x))),
            ),
            out: new Float32Array(columns.length),
            by: {
              scale: Float32Array.from(columns, ([, e]) => 2 ** e),
              zero: asymmetric ? Float32Array.from(columns, ([, , z]) => z) : null,
            },
          };
          const at = kernels.place(arrays);
          kernels.scaleRow(at.x, 0, at.by, T, at.out);
          scaleRow(arrays.x, 0, arrays.by, T, arrays.out);
          assert.deepEqual(at.out.slice(), arrays.out);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('round every float16 and bfloat16 as the twins do', () => {
    for (const dtype of ['F16', 'BF16'] as const) {
      const all = new Uint8Array(Uint16Array.from({ length: 1 << 16 }, (_, i) => i).buffer);
      const bytes = narrow(finite(widen(all, dtype)), dtype);
      const grid = makeGrid(256, 256, 1, 256);
      const rows: Rows = { bytes, dtype, fromRow: 0, grid };
      for (const [num_bits, type] of [
        [8, 'int'],
        [8, 'float'],
        [4, 'float'],
      ] as const) {
        const args: Quantizer = { num_bits, type, symmetric: true, scale_dtype: null };
        for (const scale of [1, 2 ** -7, 0.0123, 300]) {
          const q: QParams = { scale: new Float32Array(256).fill(scale), zeroPoint: null, globalScale: null };
          const [a, b] = both.map(kernels =>
            encodeRows(kernels, rows, q, args, { arithmetic: 'reference', codes: null }),
          );
          assert.deepEqual(a, b);
        }
      }
    }
  });
});

function rowsOf(
  { rows, fromRow, grid }: { rows: number; fromRow: number; grid: Grid },
  dtype: ModelDType,
  seed: number,
  wild: boolean,
): Rows {
  return { bytes: stored(rows * grid.columns, dtype, seed, wild), dtype, fromRow, grid };
}

/** The same from functions that work on whole chunks. */
function expectedOf(
  { bytes, dtype, fromRow, grid }: Rows,
  q: QParams,
  args: Quantizer,
  arithmetic: 'reference' | 'exact',
  known?: ReturnType<typeof quantize>,
) {
  const x = widen(bytes, dtype);
  const codes = known ?? quantize(x, fromRow, grid, q, args, dtype, { arithmetic });
  const error = emptyError(x.length / grid.columns);
  accumulateError(x, dequantize(codes, fromRow, grid, q, args), 0, grid.columns, error);
  const usage = new Uint32Array(256);
  for (const code of codes) usage[code & 255]!++;
  const referenceError = arithmetic === 'exact' && known === undefined ? emptyError(x.length / grid.columns) : null;
  if (referenceError !== null) {
    const others = quantize(x, fromRow, grid, q, args, dtype);
    accumulateError(x, dequantize(others, fromRow, grid, q, args), 0, grid.columns, referenceError);
  }
  return { codes, error, usage, referenceError: referenceError?.squaredError ?? null };
}
