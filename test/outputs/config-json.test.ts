import assert from 'node:assert/strict';
import { checkpointConfig, denseConfig } from '../../src/outputs/config-json.js';
import { compile } from '../../src/recipe/compile.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model } from '../../src/runtime/model/model.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

/** A model whose config.json has these members, spelt like this, beside those of a tiny Llama. */
async function modelWith(members: string, tied?: 'absent'): Promise<Model> {
  const { config, tensors } = tinyLlama({ layers: 1, ...(tied && { tied }) });
  const text = JSON.stringify(config).replace(/^\{/, `{${members},`);
  return await loadModel(await writeModel({ config, tensors }, { files: { 'config.json': text } }));
}

const compressed = (model: Model) =>
  checkpointConfig(
    compile(parseRecipe('version: 1\nmodifiers:\n  - QuantizationModifier: {scheme: FP8_DYNAMIC}\n'), model),
  );

describe('config.json', () => {
  it('spells numbers as the source does, because transformers refuses 30 where it wants 30.0', async () => {
    const model = await modelWith('"final_logit_softcapping": 30.0, "time_step_limit": [0.0, Infinity], "eps": 1e-06');
    for (const text of [compressed(model), denseConfig(model, undefined)]) {
      assert.match(text, /"final_logit_softcapping": 30\.0,/);
      assert.match(text, /"eps": 1e-06,/);
      assert.match(text, /"time_step_limit": \[\n {4}0\.0,\n {4}Infinity\n {2}\]/);
    }
  });

  it('of a checkpoint differs from that of the source in the quantization only', async () => {
    const model = await modelWith('"x": {"b": 1, "a": [2]}');
    const { quantization_config: quantization, ...rest } = JSON.parse(compressed(model));
    assert.deepEqual(rest, model.config);
    assert.equal(quantization.quant_method, 'compressed-tensors');
  });

  it('tells of tied embeddings wherever the source does', async () => {
    const model = await modelWith('"text_config": {"tie_word_embeddings": true, "x": 1}', 'absent');
    const { tie_word_embeddings: top, text_config: text } = JSON.parse(compressed(model));
    assert.deepEqual([top, text], [false, { tie_word_embeddings: false, x: 1 }]);
    const silent = await modelWith('"text_config": {"x": 1}', 'absent');
    assert.deepEqual(JSON.parse(compressed(silent)).text_config, { x: 1 });
  });

  it('of a dense model has no quantization, and the dtype that was asked for', async () => {
    const quantization = '{"quant_method": "compressed-tensors"}';
    const nested = `"quantization_config": ${quantization}, "text_config": {"dtype": "bfloat16", "quantization_config": ${quantization}}`;
    const model = await modelWith(nested);
    const dense = JSON.parse(denseConfig(model, 'float32'));
    assert.equal(dense.quantization_config, undefined);
    assert.deepEqual(dense.text_config, { dtype: 'float32' });
    assert.deepEqual([dense.torch_dtype, dense.dtype], ['float32', undefined]);
    const same = JSON.parse(denseConfig(model, undefined));
    assert.deepEqual([same.torch_dtype, same.text_config], ['bfloat16', { dtype: 'bfloat16' }]);
  });
});
