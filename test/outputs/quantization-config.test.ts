import assert from 'node:assert/strict';
import type { ModuleScheme } from '../../src/modifiers/modifier.js';
import { FORMAT_VERSION, quantizationConfig } from '../../src/outputs/quantization-config.js';
import type { Module } from '../../src/runtime/model/model.js';
import type { QuantizationScheme } from '../../src/schemes/args.js';
import { inferFormat } from '../../src/schemes/formats.js';
import { preset } from '../../src/schemes/presets.js';

const module = (name: string, kind = 'Linear'): Module => ({ name, classes: [kind, 'Module'] });

function schemeOf(name: string, targets = ['Linear'], more: Partial<QuantizationScheme> = {}): ModuleScheme {
  const scheme = { ...preset(name, targets)!, ...more };
  const { weights, input_activations, output_activations } = scheme;
  return { weights, input_activations, output_activations, format: inferFormat(scheme), targets, target: targets[0]! };
}

const tree = [
  module('model.embed_tokens', 'Embedding'),
  module('model.layers.0.self_attn.q_proj'),
  module('model.layers.0.mlp.gate', 'Qwen3MoeTopKRouter'),
  module('model.layers.0.mlp.experts.0', 'ExpertMLPWithGate'),
  module('model.layers.0.mlp.experts.0.up_proj'),
  module('model.layers.0.norm', 'LlamaRMSNorm'),
  module('lm_head'),
];

const configOf = (schemes: Record<string, ModuleScheme>) => quantizationConfig(tree, new Map(Object.entries(schemes)));

describe('quantizationConfig', () => {
  it('has the keys and values of compressed-tensors', () => {
    const config = configOf({ 'model.layers.0.self_attn.q_proj': schemeOf('W4A16_ASYM') });
    assert.deepEqual(config, {
      config_groups: {
        group_0: {
          format: 'pack-quantized',
          input_activations: null,
          output_activations: null,
          targets: ['Linear'],
          weights: {
            actorder: null,
            block_structure: null,
            dynamic: false,
            group_size: 128,
            num_bits: 4,
            observer: 'memoryless_minmax',
            observer_kwargs: {},
            scale_dtype: null,
            strategy: 'group',
            symmetric: false,
            type: 'int',
            zp_dtype: 'torch.int8',
          },
        },
      },
      format: 'pack-quantized',
      global_compression_ratio: null,
      ignore: ['model.layers.0.mlp.gate', 'model.layers.0.mlp.experts.0.up_proj', 'lm_head'],
      kv_cache_scheme: null,
      quant_method: 'compressed-tensors',
      quantization_status: 'compressed',
      sparsity_config: {},
      transform_config: {},
      version: FORMAT_VERSION,
    });
  });

  it('numbers groups in the order in which modules use them, equal ones once', () => {
    const config = configOf({
      lm_head: schemeOf('W8A8', ['lm_head']),
      'model.layers.0.mlp.experts.0.up_proj': schemeOf('W4A16'),
      'model.layers.0.self_attn.q_proj': schemeOf('W4A16'),
    }) as { config_groups: Record<string, { targets: string[] }>; format: string };
    assert.deepEqual(
      Object.entries(config.config_groups).map(([name, { targets }]) => [name, targets]),
      [
        ['group_0', ['Linear']],
        ['group_1', ['lm_head']],
      ],
    );
    assert.equal(config.format, 'mixed-precision');
  });

  it('tells groups with equal args and other targets apart', () => {
    const config = configOf({
      'model.layers.0.self_attn.q_proj': schemeOf('W4A16', ['re:.*q_proj']),
      lm_head: schemeOf('W4A16', ['lm_head']),
    });
    assert.deepEqual(Object.keys(config['config_groups'] as object), ['group_0', 'group_1']);
    assert.equal(config['format'], 'pack-quantized');
  });

  it('lists as ignored what is like the quantized modules, by class in the order of first sight', () => {
    const ignore = (schemes: Record<string, ModuleScheme>) => configOf(schemes)['ignore'];
    assert.deepEqual(ignore({ 'model.embed_tokens': schemeOf('W4A16') }), []);
    assert.deepEqual(ignore({}), []);
    const others = [...tree.slice(1), module('model.position', 'Embedding'), module('lm_head.extra')];
    const schemes = new Map([
      ['lm_head', schemeOf('W4A16')],
      ['model.position', schemeOf('W4A16')],
    ]);
    const modules = [module('model.early', 'Embedding'), ...others];
    assert.deepEqual(quantizationConfig(modules, schemes)['ignore'], [
      'model.early',
      'model.layers.0.self_attn.q_proj',
      'model.layers.0.mlp.gate',
      'model.layers.0.mlp.experts.0.up_proj',
      'lm_head.extra',
    ]);
  });

  it('counts a module whose inputs alone are quantized among the quantized ones, and dense as no format', () => {
    const inputsOnly = schemeOf('W8A8', ['lm_head'], { weights: null });
    const config = configOf({ lm_head: inputsOnly });
    assert.equal(config['format'], 'dense');
    assert.ok(!(config['ignore'] as string[]).includes('lm_head'));
    const both = configOf({ lm_head: inputsOnly, 'model.layers.0.self_attn.q_proj': schemeOf('W4A16') });
    assert.equal(both['format'], 'pack-quantized');
  });
});
