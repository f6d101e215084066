import assert from 'node:assert/strict';
import { join } from 'node:path';
import { quantizationOf, schemesOf } from '../../../src/run/compressed.js';
import { openReader } from '../../../src/run/forward/reader.js';
import { runSession } from '../../../src/run/session.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import { decodeCheckpoint } from '../../support/decode.js';
import { tempFolder } from '../../support/temp.js';
import { matrix, tinyLlama, writeModel, writeRecipe } from '../../support/tiny-model.js';

const Q = 'model.layers.0.self_attn.q_proj.weight';

async function checkpoint(options: string): Promise<string> {
  const out = join(tempFolder(), 'out');
  const model = await writeModel(tinyLlama({ layers: 1 }));
  await runSession({ threads: 0, recipe: writeRecipe(options), model, out });
  return out;
}

describe('openReader', () => {
  for (const [name, options] of [
    [
      'packed integers with zero points',
      '{config_groups: {g: {targets: [Linear], weights: {num_bits: 4, group_size: 32, symmetric: false}}}}',
    ],
    [
      'packed integers, columns in groups of their own',
      '{config_groups: {g: {targets: [Linear], weights: {num_bits: 4, group_size: 32, actorder: group}}}}',
    ],
    ['fp8 by channel', '{scheme: FP8_DYNAMIC, targets: [Linear]}'],
    ['NVFP4', '{scheme: NVFP4A16, targets: [Linear]}'],
    [
      'blocks that do not divide',
      '{config_groups: {g: {targets: [Linear], weights: {num_bits: 8, strategy: block, block_structure: [40, 36]}}}}',
    ],
  ] as const) {
    it(`reads what another reader does, whole and by rows: ${name}`, async () => {
      const folder = await checkpoint(options);
      const model = await loadModel(folder);
      const reader = openReader(model, schemesOf(model, quantizationOf(model)));
      for (const [tensor, { shape, values }] of decodeCheckpoint(folder)) {
        if (!tensor.endsWith('weight')) continue;
        assert.deepEqual(await reader.shape(tensor), shape, tensor);
        assert.deepEqual(await reader.read(tensor), Float32Array.from(values), tensor);
        if (shape.length !== 2) continue;
        const [from, to, columns] = [5, shape[0]! - 3, shape[1]!];
        const out = new Float32Array((to - from) * columns);
        assert.equal(await reader.read(tensor, { rows: { from, to }, out }), out);
        assert.deepEqual(out, Float32Array.from(values.subarray(from * columns, to * columns)), tensor);
      }
      await model.source.close();
    });
  }

  it('names a tensor that is missing', async () => {
    const model = await loadModel(await writeModel(tinyLlama()));
    const reader = openReader(model, undefined);
    await assert.rejects(reader.read('x'), { code: 'TENSOR', message: 'the weights lack x', place: { tensor: 'x' } });
    await assert.rejects(reader.shape('x'), { code: 'TENSOR' });
    await model.source.close();
  });

  for (const value of [NaN, Infinity, -Infinity]) {
    it(`names a tensor that holds ${value}, where it is read`, async () => {
      const model = tinyLlama();
      const values = new Float32Array(64 * 64);
      values[10 * 64] = value;
      const loaded = await loadModel(
        await writeModel({ ...model, tensors: { ...model.tensors, [Q]: matrix([64, 64], values) } }),
      );
      const reader = openReader(loaded, undefined);
      await reader.read(Q, { rows: { from: 0, to: 10 } });
      await assert.rejects(reader.read(Q, { rows: { from: 10, to: 11 } }), {
        code: 'TENSOR',
        message: `${Q} holds ${value}, so the model cannot be run`,
        place: { tensor: Q, file: 'model.safetensors' },
      });
      await loaded.source.close();
    });
  }
});
