import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TensorpressError } from '../../../src/errors.js';
import { readConfig } from '../../../src/runtime/model/config.js';

const read = (config: unknown) => readConfig(JSON.stringify(config));
const refused = (config: unknown, message: RegExp) =>
  assert.throws(
    () => read(config),
    (error: unknown) => error instanceof TensorpressError && error.code === 'MODEL' && message.test(error.message),
  );

describe('readConfig', () => {
  it('reads the new and the old spelling alike', () => {
    const architectures = ['LlamaForCausalLM'];
    const rope = { rope_type: 'llama3', factor: 8, rope_theta: 500000 };
    const now = read({ architectures, dtype: 'bfloat16', rope_parameters: rope, num_hidden_layers: 2 });
    const before = read({
      architectures,
      torch_dtype: 'bfloat16',
      rope_theta: 500000,
      rope_scaling: { type: 'llama3', factor: 8 },
      n_layer: 2,
    });
    for (const config of [now, before]) {
      assert.equal(config.dtype, 'BF16');
      assert.equal(config.layers, 2);
    }
    assert.equal(read({ architectures, torch_dtype: 'torch.float16' }).dtype, 'F16');
    assert.equal(read({ architectures, dtype: 'float8_e4m3fn' }).dtype, undefined);
  });

  it('finds the decoder inside a model with more than text', () => {
    const config = read({
      architectures: ['Gemma3ForConditionalGeneration'],
      vision_config: { num_hidden_layers: 27 },
      text_config: { num_hidden_layers: 34, dtype: 'float32', num_experts: 8 },
    });
    assert.deepEqual([config.layers, config.dtype, config.experts, config.tied], [34, 'F32', 8, undefined]);
    assert.equal(
      read({ architectures: ['A'], tie_word_embeddings: false, text_config: { tie_word_embeddings: true } }).tied,
      false,
    );
    assert.equal(read({ architectures: ['A'], text_config: { tie_word_embeddings: true } }).tied, true);
  });

  it('names the architecture by model_type where config.json names none', () => {
    assert.equal(read({ model_type: 'qwen3_moe' }).architecture, 'Qwen3MoeForCausalLM');
    assert.equal(read({ model_type: 'smollm3' }).architecture, 'SmolLM3ForCausalLM');
    assert.equal(read({ model_type: 'gemma3_text' }).architecture, 'Gemma3ForCausalLM');
    assert.equal(read({ architectures: [], text_config: { model_type: 'llama' } }).architecture, 'LlamaForCausalLM');
    refused({}, /names no architecture/);
  });

  it('reports a quantized model instead of refusing it', () => {
    const quantization = { quant_method: 'gptq', bits: 4 };
    assert.deepEqual(
      { ...read({ architectures: ['A'], quantization_config: quantization }).quantization },
      quantization,
    );
    assert.equal(read({ architectures: ['A'], quantization_config: null }).quantization, undefined);
  });

  it('refuses what is no configuration, naming the key', () => {
    refused([], /config\.json is \[\], expected an object/);
    refused({ architectures: 'LlamaForCausalLM' }, /architectures is "LlamaForCausalLM", expected a list/);
    refused({ architectures: [3] }, /architectures\[0\] is 3/);
    refused({ architectures: ['A'], num_hidden_layers: 'two' }, /num_hidden_layers is "two", expected a whole number/);
    refused({ architectures: ['A'], num_hidden_layers: -1 }, /num_hidden_layers is -1/);
    refused({ architectures: ['A'], tie_word_embeddings: 1 }, /tie_word_embeddings is 1, expected true or false/);
    assert.throws(() => readConfig('{"architectures": ["A"'), TensorpressError);
  });

  it('accepts what Python writes beside JSON', () => {
    assert.equal(readConfig('{"architectures": ["A"], "x": Infinity, "num_hidden_layers": 2}').layers, 2);
  });

  it('throws nothing but TensorpressError, whatever the file holds', () => {
    const key = fc.constantFrom(
      ...[
        'architectures',
        'model_type',
        'text_config',
        'num_hidden_layers',
        'n_layer',
        'num_experts',
        'dtype',
        'torch_dtype',
      ],
      ...['rope_parameters', 'rope_theta', 'rope_scaling', 'tie_word_embeddings', 'quantization_config', '__proto__'],
    );
    const value = fc.letrec(tie => ({
      json: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        fc.dictionary(key, tie('json')),
        fc.constantFrom(['A'], 'llama', 2, true, {}),
      ),
    })).json;
    fc.assert(
      fc.property(fc.dictionary(key, value), config => {
        try {
          const { layers, architecture } = read(config);
          assert.ok(layers === undefined || layers >= 0);
          assert.notEqual(architecture, '');
        } catch (error) {
          if (!(error instanceof TensorpressError)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});
