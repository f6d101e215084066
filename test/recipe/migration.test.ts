import assert from 'node:assert/strict';
import { roundTrip } from './support.js';

/** A stage with one group, the body indented to its place. */
const stage = (body: string, name = 'quant') =>
  `${name}_stage:\n  ${name}_modifiers:\n${body.replace(/^/gm, '    ')}\n`;

const SMOOTH = `SmoothQuantModifier:
  smoothing_strength: 0.8
  mappings:
  - - ['re:.*q_proj', 're:.*k_proj', 're:.*v_proj']
    - re:.*input_layernorm
  - - ['re:.*gate_proj', 're:.*up_proj']
    - re:.*post_attention_layernorm`;

const group = (weights: string, inputs?: string, targets = '[Linear]') =>
  `config_groups:
    first:
      targets: ${targets}
      weights: {${weights}}${inputs === undefined ? '' : `\n      input_activations: {${inputs}}`}`;

/** What people have: recipes of the kinds that llm-compressor ships and tests, each with what it must become. */
const recipes: Record<string, [text: string, types: string[]]> = {
  'fp8, dynamic, with many patterns to ignore': [
    stage(`QuantizationModifier:
  ignore: ["lm_head", "re:vision_tower.*", "re:.*projector.*", "re:.*visual.*"]
  config_groups:
    group_0:
      weights:
        num_bits: 8
        type: "float"
        symmetric: true
        strategy: "channel"
        dynamic: false
      input_activations:
        num_bits: 8
        type: "float"
        symmetric: true
        strategy: "token"
        dynamic: true
      targets: ["Linear"]`),
    ['QuantizationModifier'],
  ],
  'fp8, weights only, per channel and per tensor': [
    stage(`QuantizationModifier:\n  ${group('num_bits: 8, type: float, symmetric: true, strategy: channel, dynamic: false', undefined, '[re:.*mlp.*]')}
    second:\n      targets: [re:.*attn.*]\n      weights: {num_bits: 8, type: float, strategy: tensor}`),
    ['QuantizationModifier'],
  ],
  'int8, smoothed, dynamic per token': [
    stage(
      `${SMOOTH}\nGPTQModifier:\n  actorder: null\n  ${group('num_bits: 8, type: int, symmetric: true, strategy: channel', 'num_bits: 8, type: int, symmetric: true, strategy: token, dynamic: true')}`,
    ),
    ['SmoothQuantModifier', 'GPTQModifier'],
  ],
  'int8, static, asymmetric inputs': [
    stage(
      `SmoothQuantModifier: {smoothing_strength: 0.8}\nGPTQModifier:\n  ignore: [lm_head]\n  ${group('num_bits: 8, strategy: channel', 'num_bits: 8, symmetric: false, strategy: tensor, type: int, dynamic: false, observer: static_minmax')}`,
    ),
    ['SmoothQuantModifier', 'GPTQModifier'],
  ],
  'AWQ with a preset': [
    stage(
      `AWQModifier:\n  duo_scaling: "both"\nQuantizationModifier:\n  ignore: ["lm_head"]\n  scheme: "NVFP4"\n  targets: ["Linear"]\n  `,
    ),
    ['AWQModifier', 'QuantizationModifier'],
  ],
  'AWQ with groups of 128': [
    stage(
      `AWQModifier: {duo_scaling: "both"}\nQuantizationModifier:\n  ${group('num_bits: 4, type: int, symmetric: false, strategy: "group", group_size: 128')}`,
    ),
    ['AWQModifier', 'QuantizationModifier'],
  ],
  'GPTQ with an order of columns': [
    stage(
      `GPTQModifier:\n  actorder: "group"\n  ${group('num_bits: 4, type: "int", strategy: "group", group_size: 128')}`,
    ),
    ['GPTQModifier'],
  ],
  'KV cache only': [
    stage(
      'QuantizationModifier:\n  kv_cache_scheme:\n    {num_bits: 8, type: float, symmetric: true, strategy: tensor}',
    ),
    ['QuantizationModifier'],
  ],
  'GPTQ and KV cache, an order of columns that is false': [
    stage(
      `GPTQModifier:\n  actorder: null\n  ${group('num_bits: 4, type: int, strategy: channel, actorder: False')}\n  kv_cache_scheme:\n    {num_bits: 8, type: float, strategy: tensor}`,
    ),
    ['GPTQModifier'],
  ],
  'three modifiers with targets of their own': [
    stage(`AWQModifier:
  duo_scaling: true
  mappings:
    - smooth_layer: "re:.*input_layernorm$"
      balance_layers: ["re:.*q_proj$", "re:.*k_proj$"]

QuantizationModifier:
  scheme: "W4A16"
  targets:
    - "re:.*self_attn\\\\.(k|q|o|v)_proj$"

GPTQModifier: {scheme: W8A8, targets: ["re:.*mlp\\\\..*_proj$"], block_size: 128, dampening_frac: 0.001, actorder: null}`),
    ['AWQModifier', 'QuantizationModifier', 'GPTQModifier'],
  ],
  'fp8 and NVFP4 in one model': [
    stage(`QuantizationModifier:\n  ${group('num_bits: 8, type: float, strategy: channel', 'num_bits: 8, type: float, strategy: token, dynamic: true', '["re:.*\\\\.down_proj$"]')}
    second:
      targets: [re:.*gate_proj]
      weights: {num_bits: 4, type: float, strategy: tensor_group, group_size: 16, scale_dtype: float8_e4m3fn}
      input_activations: {num_bits: 4, type: float, strategy: tensor_group, group_size: 16, dynamic: local}`),
    ['QuantizationModifier'],
  ],
  'GPTQ that inherits, explicit nulls, a module by its full name': [
    stage(
      `QuantizationModifier:
    ignore: ["lm_head", "model.layers.0.mlp.down_proj"]
    config_groups:
        group_0:
            weights:
                num_bits: 4
                type: "int"
                symmetric: False
                strategy: "channel"
            input_activations: null
            output_activations: null
            targets: ["Linear"]
GPTQModifier:
    block_size: 128`,
      'test',
    ),
    ['QuantizationModifier', 'GPTQModifier'],
  ],
  embeddings: [
    stage(
      `QuantizationModifier:\n  ${group('num_bits: 8, strategy: tensor', 'num_bits: 8, symmetric: false, strategy: tensor')}\n    second: {targets: ["Embedding"], weights: {num_bits: 8}, input_activations: null}`,
    ),
    ['QuantizationModifier'],
  ],
  'pruning, then quantization, in two stages': [
    `${stage('SparseGPTModifier:\n    sparsity: 0.5\n    mask_structure: "2:4"\n    targets: ["Linear"]\n    ignore: ["re:.*lm_head"]', 'pruning')}${stage('QuantizationModifier: {scheme: FP8_DYNAMIC, ignore: [lm_head]}')}`,
    ['SparseGPTModifier', 'QuantizationModifier'],
  ],
  'pruning layers by name and by pattern': [
    stage(
      'SparseGPTModifier: {sparsity: 0.3, block_size: 128, dampening_frac: 0.01, targets: [model.layers.0, "re:.*model.layers.1$"], mask_structure: "0:0", preserve_sparsity_mask: True}',
      'test',
    ),
    ['SparseGPTModifier'],
  ],
  'terse args, then pruning': [
    stage(
      `SmoothQuantModifier: {smoothing_strength: 0.6}\nGPTQModifier:\n  ${group('num_bits: 8', 'num_bits: 8')}\nSparseGPTModifier: {sparsity: 0.5, targets: [re:.*layers.0$]}`,
      'obcq',
    ),
    ['SmoothQuantModifier', 'GPTQModifier', 'SparseGPTModifier'],
  ],
  'rotations, and attention': [
    stage(`SpinQuantModifier: {rotations: [R1, R2, R4], transform_type: random-hadamard, transform_block_size: 64}
QuIPModifier: {rotations: [v, u], targets: Linear, ignore: lm_head}
QuantizationModifier: {config_groups: {a: {targets: [LlamaAttention], input_activations: {num_bits: 8, type: float, strategy: attn_head}}}}`),
    ['SpinQuantModifier', 'QuIPModifier', 'QuantizationModifier'],
  ],
  'everything that is valid and not built': [
    stage(`REAPPruningModifier: {sparsity: 0.25, ignore: [], report_path: r.json}
AutoRoundModifier: {scheme: W4A16, iters: 100, batch_size: 4, lr: null, enable_torch_compile: false, device_ids: null, disable_opt_rtn: true}
LogarithmicEqualizationModifier: {}
MagnitudePruningModifier: {targets: __ALL__, init_sparsity: 0.05, final_sparsity: 0.8, start: 0.0, end: 10.0, update: 0.5, mask_structure: unstructured, leave_enabled: true}
ConstantPruningModifier: {targets: ['re:.*weight'], start: 0, end: 2}`),
    [
      'REAPPruningModifier',
      'AutoRoundModifier',
      'LogarithmicEqualizationModifier',
      'MagnitudePruningModifier',
      'ConstantPruningModifier',
    ],
  ],
  'transforms written out, as they are saved': [
    stage(`SpinQuantModifier:
  rotations: [R1]
  randomize: false
  learnable: false
  precision: torch.float64
  transform_config:
    config_groups:
      R1:
        type: hadamard
        apply:
        - {targets: ['re:.*embed_tokens$'], location: weight_output, inverse: false, ignore: []}
        - {targets: lm_head, location: weight_input, inverse: true}
        randomize: false
        requires_grad: false
        head_dim: null
        precision: torch.float64`),
    ['SpinQuantModifier'],
  ],
};

describe('recipes from llm-compressor', () => {
  for (const [what, [text, types]] of Object.entries(recipes)) {
    it(what, () =>
      assert.deepEqual(
        roundTrip(text).modifiers.map(entry => Object.keys(entry)[0]),
        types,
      ),
    );
  }
});
