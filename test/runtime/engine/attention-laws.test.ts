import fc from 'fast-check';
import type { Op } from '../../../src/runtime/model/graph.js';
import { slice } from '../../../src/runtime/model/slice.js';
import { draws, type Numbers } from '../../support/conformance/cases.js';
import { assertRows } from '../../support/conformance/compare.js';
import { evaluate, type Given } from '../../support/evaluate.js';

const EXACT = { tolerance: 1e-13, codes: 'equal' } as const;

/** Sequences of S tokens, with heads, a window and a soft cap. */
const layouts = fc.record({
  seed: fc.nat(),
  B: fc.integer({ min: 1, max: 2 }),
  S: fc.integer({ min: 1, max: 20 }),
  ratio: fc.integer({ min: 1, max: 4 }),
  kvHeads: fc.integer({ min: 1, max: 2 }),
  window: fc.option(fc.integer({ min: 1, max: 9 })),
  cap: fc.option(fc.constantFrom(1, 30)),
  gap: fc.integer({ min: 1, max: 3 }),
});
type Layout = typeof layouts extends fc.Arbitrary<infer L> ? L : never;

const HEAD_DIM = 6;

interface Sequences {
  readonly q: Numbers;
  readonly k: Numbers;
  readonly v: Numbers;
  readonly positions: Given;
}

function make({ seed, B, S, ratio, kvHeads, gap }: Layout): Sequences {
  const draw = draws(seed);
  const pair = () => draw.floats([B * S, kvHeads * HEAD_DIM]);
  const positions = { shape: [S], data: Int32Array.from({ length: S }, (_, i) => 70000 + i * gap) };
  return { q: draw.floats([B * S, ratio * kvHeads * HEAD_DIM]), k: pair(), v: pair(), positions };
}

async function attend({ ratio, kvHeads, window, cap }: Layout, arrays: Record<string, Given>): Promise<Float64Array> {
  const constants = { heads: ratio * kvHeads, kvHeads, headDim: HEAD_DIM, scale: 0.4, window, cap };
  const names = Object.fromEntries(Object.keys(arrays).map(name => [name, name]));
  const op = { op: 'attention', in: names, with: constants, out: 'y' } as unknown as Op;
  return (await evaluate(slice([op], ['y']), arrays))['y']!.data;
}

/** Tokens from, ..., to - 1 of each of B sequences of S tokens. */
function tokens(x: Given, B: number, from: number, to: number): Given {
  const [rows, columns] = x.shape as [number, number];
  const S = rows / B;
  const data = new Float64Array(B * (to - from) * columns);
  for (let b = 0; b < B; b++) {
    data.set(x.data.subarray((b * S + from) * columns, (b * S + to) * columns), b * (to - from) * columns);
  }
  return { shape: [B * (to - from), columns], data };
}

function positionsOf({ data }: Given, from: number, to: number): Given {
  return { shape: [to - from], data: data.slice(from, to) };
}

/** Arrays of the queries from, ..., to - 1 after the keys `past` of the tokens before them. */
function chunk({ q, k, v, positions }: Sequences, B: number, from: number, to: number, past = { k, v }) {
  const before = {
    pastK: tokens(past.k, B, 0, from),
    pastV: tokens(past.v, B, 0, from),
    pastPositions: positionsOf(positions, 0, from),
  };
  return {
    q: tokens(q, B, from, to),
    k: tokens(k, B, from, to),
    v: tokens(v, B, from, to),
    positions: positionsOf(positions, from, to),
    ...(from > 0 ? before : {}),
  };
}

describe('laws of attention', () => {
  it('chunks of any size after their past give what one run gives', async () => {
    const property = fc.asyncProperty(layouts, fc.constantFrom(1, 7, 16, -1, 0, 50), async (layout, size) => {
      const { B, S, ratio, kvHeads } = layout;
      const all = make(layout);
      const whole = { shape: all.q.shape, data: await attend(layout, { ...all }) };
      const step = size > 0 && size < 50 ? size : Math.max(S + size, 1);
      for (let from = 0; from < S; from += step) {
        const to = Math.min(from + step, S);
        const part = await attend(layout, chunk(all, B, from, to));
        assertRows(
          part,
          tokens(whole, B, from, to).data,
          ratio * kvHeads * HEAD_DIM,
          `queries ${from} to ${to}`,
          EXACT,
        );
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('a window at once, with sealed keys selected by what each query sees, gives what decoding gives', async () => {
    const sealing = fc.array(fc.nat({ max: 20 }), { minLength: 20, maxLength: 20 });
    const property = fc.asyncProperty(layouts, sealing, async (layout, counts) => {
      const { seed, B, S, ratio, kvHeads } = layout;
      const all = make(layout);
      const draw = draws(seed + 1);
      const [sealedK, sealedV] = [draw.floats(all.k.shape), draw.floats(all.v.shape)];
      // query i sees the first counts[i] keys sealed; what is sealed stays so
      const sealedTo = counts
        .slice(0, S)
        .sort((a, b) => a - b)
        .map((count, i) => Math.min(count, i));
      const mask = Uint8Array.from({ length: S * S }, (_, at) => (at % S < sealedTo[Math.floor(at / S)]! ? 1 : 0));
      const sealed = { sealedK, sealedV, sealed: { shape: [S, S], data: mask } };
      const whole = { shape: all.q.shape, data: await attend(layout, { ...all, ...sealed }) };
      for (let i = 0; i < S; i++) {
        const seen = { k: patched(all.k, sealedK, B, sealedTo[i]!), v: patched(all.v, sealedV, B, sealedTo[i]!) };
        const decoded = await attend(layout, chunk(all, B, i, i + 1, seen));
        assertRows(decoded, tokens(whole, B, i, i + 1).data, ratio * kvHeads * HEAD_DIM, `query ${i}`, EXACT);
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('a past that is sealed as a whole hides the exact keys', async () => {
    const layout: Layout = { seed: 3, B: 2, S: 6, ratio: 2, kvHeads: 2, window: null, cap: null, gap: 1 };
    const all = make(layout);
    const other = make({ ...layout, seed: 4 });
    const parts = { ...chunk(all, 2, 4, 6, other), sealedK: all.k, sealedV: all.v };
    const sealed = { shape: [2, 6], data: new Uint8Array(12).fill(1) };
    const expected = await attend(layout, chunk(all, 2, 4, 6));
    assertRows(await attend(layout, { ...parts, sealed }), expected, 4 * HEAD_DIM, 'attention', EXACT);
  });
});

/** The first n tokens of each sequence from `sealed`, the others exact. */
function patched(exact: Numbers, sealed: Numbers, B: number, n: number): Numbers {
  const [rows, columns] = exact.shape as [number, number];
  const data = new Float32Array(exact.data);
  for (let b = 0; b < B; b++) {
    const from = (b * rows * columns) / B;
    data.set(sealed.data.subarray(from, from + n * columns), from);
  }
  return { shape: exact.shape, data };
}
