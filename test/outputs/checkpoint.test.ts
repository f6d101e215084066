import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors/source.js';
import { checkpointOutput, storedTensors } from '../../src/outputs/checkpoint.js';
import { safetensorsFolder } from '../../src/outputs/safetensors-folder.js';
import { compile } from '../../src/recipe/compile.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { loadModel } from '../../src/runtime/model/load.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel, type TinyLlama } from '../support/tiny-model.js';

async function planOf(options: string, model: TinyLlama = {}) {
  const folder = await writeModel(tinyLlama({ layers: 1, ...model }));
  const text = `version: 1\nmodifiers:\n  - QuantizationModifier: ${options}\n`;
  return compile(parseRecipe(text), await loadModel(folder));
}

const listed = (plan: Awaited<ReturnType<typeof planOf>>, match: RegExp) =>
  storedTensors(plan)
    .filter(({ name }) => match.test(name))
    .map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`);

describe('storedTensors', () => {
  it('lists what a format stores for each module, and what is copied', async () => {
    const group =
      '{config_groups: {g: {targets: [Linear], weights: {num_bits: 4, group_size: 32, symmetric: false}}}, ignore: [lm_head]}';
    const plan = await planOf(group);
    assert.deepEqual(listed(plan, /down_proj|lm_head|\.norm|embed/), [
      'model.embed_tokens.weight BF16 [80, 64]',
      'model.layers.0.mlp.down_proj.weight_packed I32 [64, 12]',
      'model.layers.0.mlp.down_proj.weight_scale BF16 [64, 3]',
      'model.layers.0.mlp.down_proj.weight_zero_point I32 [8, 3]',
      'model.layers.0.mlp.down_proj.weight_shape I64 [2]',
      'model.norm.weight BF16 [64]',
      'lm_head.weight BF16 [80, 64]',
    ]);
  });

  it('stores a tied head with its embedding, or apart', async () => {
    const joined = await planOf('{scheme: FP8_DYNAMIC, targets: [Linear, Embedding]}', { tied: 'absent' });
    assert.deepEqual(listed(joined, /lm_head|embed/), [
      'model.embed_tokens.weight F8_E4M3 [80, 64]',
      'model.embed_tokens.weight_scale BF16 [80, 1]',
    ]);
    const apart = await planOf('{scheme: FP8_DYNAMIC}', { tied: 'absent' });
    assert.deepEqual(listed(apart, /lm_head|embed/), [
      'model.embed_tokens.weight BF16 [80, 64]',
      'lm_head.weight F8_E4M3 [80, 64]',
      'lm_head.weight_scale BF16 [80, 1]',
    ]);
  });
});

describe('checkpointOutput', () => {
  it('counts the bytes of a module and of all tensors', async () => {
    const output = checkpointOutput(await planOf('{scheme: FP8_DYNAMIC, ignore: [lm_head]}'), tempFolder());
    assert.equal(output.moduleBytes('model.layers.0.mlp.down_proj'), 64 * 96 + 64 * 2);
    assert.equal(output.moduleBytes('lm_head'), 0, 'it is copied');
    const elements = { q: 64 * 64, kv: 2 * 32 * 64, o: 64 * 64, mlp: 3 * 64 * 96 };
    const scales = (64 + 32 + 32 + 64 + 96 + 96 + 64) * 2;
    const rest = (2 * 80 * 64 + 3 * 64) * 2;
    assert.equal(output.tensorBytes, Object.values(elements).reduce((a, b) => a + b) + scales + rest);
  });

  it('says how codes and what surrounds them are stored', async () => {
    const output = checkpointOutput(await planOf('{scheme: W8A16, targets: [lm_head]}', { hidden: 128 }), tempFolder());
    const { tensor, format, rowBytes } = output.encoding('lm_head');
    assert.deepEqual([tensor, format, rowBytes], ['lm_head.weight_packed', 'pack-quantized', 128]);
    const parameters = { scale: new Float32Array(80).fill(0.5), zeroPoint: null, globalScale: null };
    const around = output.encodeParameters('lm_head', parameters);
    assert.deepEqual([...around.keys()], ['lm_head.weight_scale', 'lm_head.weight_shape']);
    assert.deepEqual([...new BigInt64Array(around.get('lm_head.weight_shape')!.slice().buffer)], [80n, 128n]);
  });
});

describe('safetensorsFolder', () => {
  const tensors = ['a', 'b', 'c'].map(name => ({ name, dtype: 'F32' as const, shape: [4] }));
  const fill = async (maxShardSize: number, folder: string) => {
    const output = safetensorsFolder(tensors, folder, maxShardSize);
    await output.open(new Set());
    for (const { name } of tensors) await output.write(name, 0, new Uint8Array(16).fill(name.charCodeAt(0)));
    return output;
  };

  it('writes the files that it planned, in one file or in shards with an index', async () => {
    for (const [size, count] of [
      [Infinity, 1],
      [32, 3],
    ] as const) {
      const folder = tempFolder();
      const output = await fill(size, folder);
      assert.ok(readdirSync(folder).every(name => name.endsWith('.partial')));
      await output.finish();
      assert.deepEqual(readdirSync(folder).sort(), output.files.map(({ name }) => name).sort());
      assert.equal(output.files.length, count);
      for (const { name, bytes } of output.files) assert.equal(readFileSync(join(folder, name)).length, bytes, name);
      const source = await openSafetensors(folder);
      for (const { name } of tensors) assert.ok((await source.read(name)).every(byte => byte === name.charCodeAt(0)));
    }
  });

  it('leaves no file that readers would take instead', async () => {
    const folder = tempFolder();
    await (await fill(32, folder)).finish();
    await (await fill(Infinity, folder)).finish();
    assert.ok(!existsSync(join(folder, 'model.safetensors.index.json')));
    await (await fill(32, folder)).finish();
    assert.ok(!existsSync(join(folder, 'model.safetensors')));
    const source = await openSafetensors(folder);
    assert.equal(source.files.length, 2);
  });

  it('removes what it began when it is told to, and nothing else', async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, 'mine.txt'), '');
    await (await fill(32, folder)).discard();
    assert.deepEqual(readdirSync(folder), ['mine.txt']);
  });

  it('says so when the folder cannot be made', async () => {
    const file = join(tempFolder(), 'file');
    writeFileSync(file, '');
    await assert.rejects(safetensorsFolder(tensors, join(file, 'out'), 32).open(new Set()), { code: 'DISK' });
  });
});
