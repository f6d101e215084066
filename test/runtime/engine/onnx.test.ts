import assert from 'node:assert/strict';
import type { Op } from '../../../src/runtime/model/graph.js';
import type { Engine, HostArray } from '../../../src/runtime/engine/engine.js';
import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { normal } from '../../support/numbers.js';

type Arrays = Record<string, readonly [data: HostArray, shape: readonly number[]]>;

async function run(engine: Engine, op: Op, arrays: Arrays): Promise<Float64Array> {
  const program = engine.compile({ ops: [op], inputs: Object.keys(arrays), outputs: [op.out] });
  const inputs = Object.fromEntries(
    Object.entries(arrays).map(([name, [data, shape]]) => [name, engine.tensor(data, shape)]),
  );
  return Float64Array.from(await (await program.run(inputs))[op.out]!.read());
}

const B = 2;
const attention = (constants: Partial<Op<'attention'>['with']>, more: Partial<Op<'attention'>['in']> = {}): Op => ({
  op: 'attention',
  out: 'y',
  in: { q: 'q', k: 'k', v: 'v', positions: 'positions', ...more },
  with: { heads: 6, kvHeads: 2, headDim: 8, scale: 0.4, window: null, cap: null, ...constants },
});
const past = { pastK: 'pastK', pastV: 'pastV', pastPositions: 'pastPositions' };
const sealed = { sealedK: 'sealedK', sealedV: 'sealedV', sealed: 'sealed' };

/** Positions from 3 on, those of the past first. */
function arrays(S: number, P: number, positions = Int32Array.from({ length: S }, (_, i) => 3 + P + i)): Arrays {
  const rows = (n: number, width: number, seed: number): Arrays[string] => [
    normal(B * n * width, seed),
    [B * n, width],
  ];
  return {
    q: rows(S, 48, 1),
    k: rows(S, 16, 2),
    v: rows(S, 16, 3),
    positions: [positions, [S]],
    pastK: rows(P, 16, 4),
    pastV: rows(P, 16, 5),
    pastPositions: [Int32Array.from({ length: P }, (_, i) => 3 + i), [P]],
    sealedK: rows(P + S, 16, 6),
    sealedV: rows(P + S, 16, 7),
    sealed: [Uint8Array.from({ length: S * (P + S) }, (_, i) => ((i * i) % 3) & 1), [S, P + S]],
  };
}

function pick(all: Arrays, names: readonly string[]): Arrays {
  return Object.fromEntries(names.map(name => [name, all[name]!]));
}

describe('the onnx engine on cpu', () => {
  const reference = createReferenceEngine();
  let onnx: Engine;
  before(async () => {
    onnx = await createOnnxEngine({ device: 'cpu', threads: 1 });
  });
  after(() => onnx.close());

  async function agree(op: Op, all: Arrays): Promise<void> {
    const given = pick(all, Object.values(op.in) as string[]);
    const [found, right] = [await run(onnx, op, given), await run(reference, op, given)];
    assert.equal(found.length, right.length);
    right.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) < 3e-6, `${i}: ${found[i]}, not ${value}`));
  }

  it('attention in chunks of queries is attention', () => agree(attention({}), arrays(700, 0)));
  it('a window that is smaller than a chunk', () => agree(attention({ window: 5 }), arrays(700, 0)));
  it('a window that reaches into a past of unknown length', () =>
    agree(attention({ window: 100, cap: 9 }, past), arrays(300, 60)));
  it('sealed keys and values, where the mask says so', () =>
    agree(attention({}, { ...past, ...sealed }), arrays(9, 4)));
  it('positions in any order', () => agree(attention({ window: 3 }), arrays(5, 0, Int32Array.of(4, 0, 3, 1, 2))));
  it('one token after a past, step by step', async () => {
    for (const P of [1, 2, 3]) await agree(attention({}, past), arrays(1, P));
  });

  it('runs on an array that was edited in between', async () => {
    const data = Float32Array.of(1, 2);
    const x = onnx.tensor(data, [1, 2]);
    const program = onnx.compile({
      ops: [{ op: 'scale', out: 'y', in: { x: 'x' }, with: { factor: 2 } }],
      inputs: ['x'],
      outputs: ['y'],
    });
    const first = (await program.run({ x }))['y']!;
    data[0] = 5;
    const second = (await program.run({ x }))['y']!;
    assert.deepEqual([...(await first.read())], [2, 4]);
    assert.deepEqual([...(await second.read())], [10, 4]);
  });

  it('equal slices share a program', () => {
    const slice = () => ({ ops: [attention({})], inputs: ['q', 'k', 'v', 'positions'], outputs: ['y'] });
    assert.equal(onnx.compile(slice()), onnx.compile(slice()));
  });

  it('says which array is missing or of another engine', async () => {
    const program = onnx.compile({ ops: [attention({})], inputs: ['q', 'k', 'v', 'positions'], outputs: ['y'] });
    await assert.rejects(program.run({}), /q is missing/);
    await assert.rejects(
      program.run({ q: reference.tensor(Float32Array.of(1), [1]) }),
      /q is an array of another engine/,
    );
  });

  it('an error of onnxruntime is a sentence', async () => {
    const gather: Op = { op: 'gather', out: 'y', in: { table: 'table', ids: 'ids' }, with: {} };
    const failing = run(onnx, gather, { table: [Float32Array.of(1), [1, 1]], ids: [Int32Array.of(7), [1]] });
    await assert.rejects(failing, { code: 'ENGINE', message: /^onnxruntime fails on cpu: .*Gather/ });
  });
});
