import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { widen } from '../../src/numerics/dtypes.js';
import { runnable } from '../../src/run/forward/runnable.js';
import { runSession } from '../../src/run/session.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model } from '../../src/runtime/model/model.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel, writeRecipe } from '../support/tiny-model.js';

/** A tiny model after a recipe, calibrated on a few tokens; with what config.json says of it. */
async function calibrated(options: string): Promise<{ model: Model; quantization: Record<string, unknown> }> {
  const source = await writeModel(tinyLlama({ layers: 1, dtype: 'F32' }));
  const dataset = join(tempFolder(), 'tokens.json');
  const rows = [0, 1, 2].map(row => Array.from({ length: 16 }, (_, i) => (i * 7 + row * 31) % 80));
  writeFileSync(dataset, JSON.stringify({ input_ids: rows }));
  const out = join(tempFolder(), 'out');
  await runSession({
    threads: 0,
    recipe: writeRecipe(options),
    model: source,
    out,
    set: [`calibration.dataset=${dataset}`],
  });
  const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<string, Record<string, unknown>>;
  return { model: await loadModel(out), quantization: config['quantization_config']! };
}

/** Names of stored scales in layer 0, with their shapes. */
const scales = ({ source }: Model) =>
  [...source.tensors.values()]
    .map(({ name, shape }) => `${name.replace('model.layers.0.', '')} [${shape.join(', ')}]`)
    .filter(text => /(input|output|\.[qkv])_(global_)?(scale|zero_point)/.test(text))
    .sort();

/** What a reader quantizes while it runs the layer. */
async function dressed(model: Model): Promise<string[]> {
  const { decoder } = await runnable(model);
  return decoder.layers[0]!.ops.flatMap(op => (op.op === 'fake_quantize' ? [Object.values(op.in).join(' ')] : []));
}

describe('a calibrated checkpoint', () => {
  it('has scales of queries, keys and values where a group names attention, and a reader finds them', async () => {
    const group = '{targets: [LlamaAttention], input_activations: {num_bits: 8, type: float, strategy: attn_head}}';
    const { model, quantization } = await calibrated(`{config_groups: {a: ${group}}}`);
    assert.deepEqual(
      scales(model),
      ['self_attn.q_scale [4, 1, 1]', 'self_attn.k_scale [2, 1, 1]', 'self_attn.v_scale [2, 1, 1]'].sort(),
    );
    const { config_groups: groups, kv_cache_scheme: cache, format } = quantization;
    const { input_activations: queries, ...rest } = (groups as Record<string, Record<string, unknown>>)['group_0']!;
    assert.deepEqual(cache, queries);
    assert.deepEqual(rest, { format: 'dense', output_activations: null, targets: ['LlamaAttention'], weights: null });
    assert.equal(format, 'dense');
    assert.equal((await dressed(model)).length, 3);
    await model.source.close();
  });

  it('has what static inputs and outputs need, and a reader finds it', async () => {
    const int8 = '{num_bits: 8, symmetric: false}';
    const group = `{targets: ['re:.*down_proj'], weights: {num_bits: 8}, input_activations: ${int8}, output_activations: ${int8}}`;
    const { model } = await calibrated(`{config_groups: {g: ${group}}}`);
    assert.deepEqual(
      scales(model),
      ['input', 'output']
        .flatMap(slot => [`mlp.down_proj.${slot}_scale [1]`, `mlp.down_proj.${slot}_zero_point [1]`])
        .sort(),
    );
    assert.equal((await dressed(model)).length, 2);
    await model.source.close();
  });

  it('has one global scale for each input of NVFP4: equal ones where modules read the same', async () => {
    const { model } = await calibrated('{scheme: NVFP4, targets: ["re:.*self_attn.*"]}');
    assert.equal(scales(model).length, 4);
    const [q, k, o] = await Promise.all(
      ['q', 'k', 'o'].map(
        async p => widen(await model.source.read(`model.layers.0.self_attn.${p}_proj.input_global_scale`), 'F32')[0],
      ),
    );
    assert.equal(q, k);
    assert.notEqual(q, o);
    // the group is for the Linears of attention: nothing is asked of queries, keys and values
    assert.ok((await dressed(model)).every(op => /input_global_scale/.test(op)));
    await model.source.close();
  });

  it('keeps its weights where a recipe is for the cache only', async () => {
    const { model, quantization } = await calibrated('{kv_cache_scheme: {num_bits: 8}}');
    assert.deepEqual(
      [quantization['config_groups'], quantization['format'], quantization['ignore']],
      [{}, 'dense', []],
    );
    assert.deepEqual(scales(model), ['self_attn.k_scale [1]', 'self_attn.v_scale [1]']);
    assert.ok(model.source.tensors.has('model.layers.0.self_attn.q_proj.weight'));
    await model.source.close();
  });

  it('leaves the weights of a scheme to a GPTQModifier that inherits it', async () => {
    const recipe = join(tempFolder(), 'recipe.yaml');
    const text = (second: string) =>
      `version: 1\nmodifiers:\n  - QuantizationModifier: {scheme: FP8, ignore: [lm_head]}\n${second}`;
    const dataset = join(tempFolder(), 'tokens.json');
    writeFileSync(dataset, JSON.stringify({ input_ids: [Array.from({ length: 64 }, (_, i) => (i * 7) % 80)] }));
    const source = await writeModel(tinyLlama({ layers: 1, dtype: 'F32' }));
    const after = async (second: string) => {
      writeFileSync(recipe, text(second));
      const out = join(tempFolder(), 'out');
      await runSession({ threads: 0, recipe, model: source, out, set: [`calibration.dataset=${dataset}`] });
      const { quantization_config } = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      return { model: await loadModel(out), quantization_config };
    };
    const [nearest, gptq] = [await after(''), await after('  - GPTQModifier: {}\n')];
    assert.deepEqual(gptq.quantization_config, nearest.quantization_config);
    assert.deepEqual(scales(gptq.model), scales(nearest.model));
    const read = ({ model }: typeof gptq, tensor: string) =>
      model.source.read(`model.layers.0.self_attn.q_proj.${tensor}`);
    assert.deepEqual(await read(gptq, 'input_scale'), await read(nearest, 'input_scale'));
    assert.notDeepEqual(await read(gptq, 'weight'), await read(nearest, 'weight'));
    await nearest.model.source.close();
    await gptq.model.source.close();
  });
});
