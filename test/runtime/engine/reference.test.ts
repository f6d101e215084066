import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { HostArray } from '../../../src/runtime/engine/engine.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { erf, erfc } from '../../../src/runtime/engine/reference/erf.js';
import type { Op } from '../../../src/runtime/model/graph.js';
import { slice } from '../../../src/runtime/model/slice.js';
import { normalizeArgs } from '../../../src/schemes/args.js';
import { conformance } from '../../support/conformance.js';
import { assertRows } from '../../support/conformance/compare.js';
import { evaluate } from '../../support/evaluate.js';

interface Stored {
  shape: number[];
  data: number[];
}

/** One op with numbers of another implementation, named in `madeWith`. */
interface Known {
  title: string;
  op: Op['op'];
  with: Record<string, unknown>;
  in: Record<string, Stored>;
  out: Stored;
}

const INTEGERS = ['ids', 'index', 'positions', 'pastPositions'];

function host(name: string, data: readonly number[]): HostArray {
  if (INTEGERS.includes(name)) return Int32Array.from(data);
  return name === 'sealed' ? Uint8Array.from(data) : Float64Array.from(data);
}

/** One op that reads arrays under their own names. */
function only(op: Op['op'], constants: object, names: readonly string[]): Op {
  const arrays = Object.fromEntries(names.map(name => [name, name]));
  return { op, in: arrays, with: constants, out: 'y' } as unknown as Op;
}

describe('reference engine', () => {
  const file = new URL('known-answers.json', import.meta.url);
  const known = JSON.parse(readFileSync(file, 'utf8')) as { cases: Known[]; erf: number[][] };

  known.cases.forEach(({ title, op, with: constants, in: arrays, out }) => {
    it(`${op} as others compute it: ${title}`, async () => {
      const args = constants['args'] && normalizeArgs(constants['args']).args!;
      const one = only(op, args ? { args } : constants, Object.keys(arrays));
      const given = Object.entries(arrays).map(
        ([name, { shape, data }]) => [name, { shape, data: host(name, data) }] as const,
      );
      const { y } = await evaluate(slice([one], ['y']), Object.fromEntries(given));
      assert.deepEqual(y!.shape, out.shape);
      const tolerance = op === 'fake_quantize' ? 0 : 1e-13;
      assertRows(y!.data, out.data, out.shape.at(-1)!, title, { tolerance, codes: 'equal' });
    });
  });

  it('erf and erfc keep their digits', () => {
    for (const [x, expected, complement, mirrored] of known.erf as [number, number, number, number][]) {
      const relative = (a: number, e: number): number => Math.abs(a - e) / Math.abs(e);
      assert.ok(relative(erf(x), expected) < 1e-15, `erf(${x})`);
      assert.equal(erf(-x), -erf(x));
      assert.ok(relative(erfc(x), complement) < 1e-13, `erfc(${x})`); // below 2 it is 1 - erf(x)
      assert.ok(relative(erfc(-x), mirrored) < 1e-15, `erfc(${-x})`);
    }
    assert.equal(erf(0), 0);
    assert.equal(erfc(Infinity), 0);
  });

  const array = (...shape: number[]) => ({ shape, data: new Float64Array(shape.reduce((a, b) => a * b, 1)) });
  const heads = { heads: 2, kvHeads: 1, headDim: 4, scale: 1, window: null, cap: null };
  const args = (input: object) => ({ args: normalizeArgs(input).args! });
  const attention = { q: array(3, 8), k: array(3, 4), v: array(3, 4), positions: array(3) };
  const refusals: [Op['op'], object, Parameters<typeof evaluate>[1], RegExp][] = [
    ['linear', {}, { x: array(2, 3), weight: array(5, 4) }, /^weight is \[5, 4\], not \[any, 3\]$/],
    ['linear', {}, { x: array(2, 3), weight: array(5, 3), bias: array(4) }, /^bias is \[4\], not \[5\]$/],
    ['add', {}, { a: array(2, 3), b: array(1, 3) }, /^b is \[1, 3\], not \[2, 3\]$/],
    [
      'rms_norm',
      { eps: 0, offset: 0, size: 4 },
      { x: array(2, 6), weight: array(4) },
      /^x is \[2, 6\]: 6 is no multiple of 4$/,
    ],
    [
      'rope',
      { headDim: 4 },
      { x: array(5, 4), cos: array(2, 2), sin: array(2, 2) },
      /^x is \[5, 4\]: 5 is no multiple of 2$/,
    ],
    ['attention', heads, { ...attention, k: array(3, 8) }, /^k is \[3, 8\], not \[3, 4\]$/],
    ['attention', heads, { ...attention, positions: array(2) }, /^q is \[3, 8\]: 3 is no multiple of 2$/],
    ['attention', heads, { ...attention, pastK: array(2, 4) }, /^attention reads pastK without their companions$/],
    ['columns', { from: 1, to: 4 }, { x: array(2, 3) }, /^x is \[2, 3\]: no columns 1 to 4$/],
    ['range', { size: 2 }, { x: array(2, 3) }, /^x is \[2, 3\]: 3 is no multiple of 2$/],
    ['gram', { from: 1, to: 4, exact: true }, { x: array(2, 3) }, /^x is \[2, 3\]: no rows 1 to 4$/],
    [
      'gather',
      {},
      { table: array(2, 3), ids: { shape: [1], data: Int32Array.of(-1) } },
      /^ids holds -1, but table has 2 rows$/,
    ],
    ['fake_quantize', args({}), { x: array(2, 4) }, /^x has no stored scale$/],
    [
      'fake_quantize',
      args({ strategy: 'token', dynamic: true }),
      { x: array(2, 4), scale: array(2) },
      /^scale is stored, but/,
    ],
    ['fake_quantize', args({ strategy: 'attn_head' }), { x: array(2, 4), scale: array(3) }, /4 is no multiple of 3$/],
  ];
  refusals.forEach(([op, constants, arrays, message]) => {
    it(`says which value does not fit ${op}: ${message.source}`, async () => {
      const cut = slice([only(op, constants, Object.keys(arrays))], ['y']);
      await assert.rejects(evaluate(cut, arrays), { code: 'INTERNAL', message });
    });
  });

  const reductions: [Op['op'], object, number[], number[]][] = [
    ['range', { size: 2 }, [2, 2], [-5, -1, 3, 4]],
    ['range', { size: 4 }, [2, 1], [-5, 4]],
    ['squares', {}, [1, 4], [10, 29, 16, 1]],
    ['magnitudes', {}, [1, 4], [4, 7, 4, 1]],
    ['gram', { from: 0, to: 2, exact: true }, [2, 4], [10, 1, 12, -3, 1, 29, 8, -2]],
    ['gram', { from: 2, to: 3, exact: false }, [1, 2], [16, -4]],
  ];
  reductions.forEach(([op, constants, shape, expected]) => {
    it(`${op} reduces over tokens: ${JSON.stringify(constants)}`, async () => {
      const x = { shape: [2, 4], data: Float64Array.of(1, -5, 0, 0, 3, 2, 4, -1) };
      const { y } = await evaluate(slice([only(op, constants, ['x'])], ['y']), { x });
      assert.deepEqual(y, { shape, data: Float64Array.from(expected) });
    });
  });

  it('compiles no mixture', () => {
    const mixture: Op = {
      op: 'experts',
      in: { x: 'x', routes: 'routes' },
      with: { count: 2, prefix: 'mlp.experts', body: [] },
      out: 'mlp',
    };
    const message = 'mlp is a mixture of experts, which is cut into slices before it is compiled';
    assert.throws(() => createReferenceEngine().compile(slice([mixture], ['mlp'])), { code: 'INTERNAL', message });
  });

  it('says which input is missing, is of another engine, or was disposed', async () => {
    const engine = createReferenceEngine();
    const program = engine.compile(slice([only('scale', { factor: 2 }, ['x'])], ['y']));
    const x = engine.tensor(Float32Array.of(1), [1, 1]);
    await assert.rejects(program.run({}), { code: 'INTERNAL', message: 'x is missing' });
    await assert.rejects(program.run({ x: { ...x, shape: [1, 1] } }), { message: 'x is an array of another engine' });
    x.dispose();
    await assert.rejects(program.run({ x }), { message: 'an array [1, 1] is used after it was disposed' });
    assert.throws(() => engine.tensor(Float32Array.of(1), [2]), { message: '1 numbers are no array [2]' });
  });
});

conformance('reference', () => Promise.resolve(createReferenceEngine()), { tolerance: 0 });
