import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from '../../src/run/inspect.js';
import { runSession } from '../../src/run/session.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel, writeRecipe } from '../support/tiny-model.js';

describe('inspect', () => {
  it('lists the tensors of a file', async () => {
    const folder = await writeModel(tinyLlama({ layers: 1 }));
    const found = await inspect(join(folder, 'model.safetensors'));
    assert.equal(found.kind, 'safetensors');
    assert.deepEqual(
      found.tensors.find(({ name }) => name === 'model.norm.weight'),
      { name: 'model.norm.weight', dtype: 'BF16', shape: [64], bytes: 128, file: 'model.safetensors' },
    );
    assert.equal(found.bytes, found.parameters * 2);
    assert.equal(found.quantization, undefined);
  });

  it('tells a model, a checkpoint and a run apart', async () => {
    const model = await writeModel(tinyLlama({ layers: 1 }), { maxShardSize: 20_000 });
    const shards = await inspect(model);
    assert.deepEqual([shards.kind, shards.architecture, shards.run], ['checkpoint', 'LlamaForCausalLM', undefined]);
    assert.ok(shards.files.length > 1);
    const out = join(tempFolder(), 'out');
    await runSession({ threads: 0, recipe: writeRecipe('{scheme: FP8_DYNAMIC}'), model, out, date: new Date(0) });
    const run = await inspect(out);
    assert.equal(run.kind, 'run');
    assert.deepEqual(run.quantization, { method: 'compressed-tensors', format: 'float-quantized', groups: 1 });
    assert.equal(run.run!.date, '1970-01-01T00:00:00.000Z');
    assert.ok(run.tensors.some(({ name, dtype }) => name === 'lm_head.weight' && dtype === 'F8_E4M3'));
  });

  it('shows what it can where config.json or run.json are none', async () => {
    const folder = await writeModel(tinyLlama({ layers: 1 }));
    for (const text of ['{', '[]', '{"architectures": "x", "quantization_config": []}']) {
      writeFileSync(join(folder, 'config.json'), text);
      writeFileSync(join(folder, 'run.json'), text);
      const found = await inspect(folder);
      assert.equal(found.tensors.length, 12, text);
      assert.deepEqual([found.architecture, found.quantization], [undefined, undefined]);
      assert.equal(found.kind, text.endsWith(']}') ? 'run' : 'checkpoint');
    }
  });

  it('says what is wrong with a path', async () => {
    const folder = tempFolder();
    await assert.rejects(inspect(join(folder, 'absent')), { code: 'ARGUMENT', message: /there is no/ });
    await assert.rejects(inspect(folder), { code: 'MODEL' });
    mkdirSync(join(folder, 'x.gguf'));
    await assert.rejects(inspect(join(folder, 'x.gguf')), { code: 'NOT_BUILT' });
    writeFileSync(join(folder, 'model.safetensors'), 'nonsense');
    await assert.rejects(inspect(folder), { code: 'TENSOR' });
  });
});
