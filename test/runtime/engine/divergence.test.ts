import assert from 'node:assert/strict';
import { Divergence } from '../../../src/evaluation/divergence.js';
import type { Engine } from '../../../src/runtime/engine/engine.js';
import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { createTfjsEngine } from '../../../src/runtime/engine/tfjs/engine.js';
import type { Op } from '../../../src/runtime/model/graph.js';
import { slice } from '../../../src/runtime/model/slice.js';
import { normal } from '../../support/numbers.js';

const ENGINES: Readonly<Record<string, () => Promise<Engine>>> = {
  onnx: () => createOnnxEngine({ device: 'cpu', threads: 2 }),
  tfjs: () => createTfjsEngine({ device: 'wasm' }),
};
const [T, C] = [9, 517];
const NOTHING = new Float64Array(T);

async function sumsOf(engine: Engine, a: Float32Array, b: Float32Array): Promise<Float32Array | Float64Array> {
  const ops: Op[] = [{ op: 'divergence', out: 'sums', in: { a: 'a', b: 'b' }, with: {} }];
  const { sums } = await engine
    .compile(slice(ops, ['sums']))
    .run({ a: engine.tensor(a, [T, C]), b: engine.tensor(b, [T, C]) });
  assert.deepEqual(sums!.shape, [T, 8]);
  return await sums!.read();
}

function kls(sums: Float32Array | Float64Array): number[] {
  const divergence = new Divergence(T, C);
  divergence.add({ from: 0, sums, basePicked: NOTHING, modelPicked: NOTHING });
  return Array.from({ length: T }, (_, t) => divergence.kl(t));
}

describe('the op divergence', () => {
  const reference = createReferenceEngine();
  const a = normal(T * C, 1, 5);
  // two tokens at the top of the first row
  a[40] = a[20] = 60;
  const b = normal(T * C, 2, 0.3).map((x, i) => a[i]! + x);

  for (const [name, create] of Object.entries(ENGINES)) {
    describe(`on ${name}`, () => {
      let engine: Engine;
      before(async () => {
        engine = await create();
      });
      after(() => engine.close());

      it('gives the sums of the reference, and its KL to six digits after the point', async () => {
        const [actual, expected] = [await sumsOf(engine, a, b), await sumsOf(reference, a, b)];
        expected.forEach((value, i) => {
          const exact = [2, 5].includes(i % 8);
          const off = Math.abs(actual[i]! - value);
          assert.ok(off <= (exact ? 0 : 1e-5 * Math.max(1, Math.abs(value))), `${i}: ${actual[i]}, expected ${value}`);
        });
        assert.equal(actual[2], 20);
        const wanted = kls(expected);
        kls(actual).forEach((kl, t) => assert.ok(Math.abs(kl - wanted[t]!) < 2e-6, `${kl}, expected ${wanted[t]}`));
      });

      it('is exactly 0 between equal logits', async () => {
        const sums = await sumsOf(engine, a, a.slice());
        for (const kl of kls(sums)) assert.ok(Object.is(kl, 0), String(kl));
        for (let t = 0; t < T; t++) {
          assert.deepEqual([...sums.slice(8 * t, 8 * t + 3)], [...sums.slice(8 * t + 3, 8 * t + 6)]);
          assert.deepEqual([sums[8 * t + 6], sums[8 * t + 7]], [0, 0]);
        }
      });
    });
  }
});
