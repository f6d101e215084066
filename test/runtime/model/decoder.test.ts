import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { buildModel } from '../../../src/runtime/model/build.js';
import { readConfig } from '../../../src/runtime/model/config.js';
import { decoderOf } from '../../../src/runtime/model/decoder.js';
import { readsOf, valueAt, type Decoder, type Graph, type Op, type Value } from '../../../src/runtime/model/graph.js';
import { stages } from '../../../src/runtime/model/slice.js';
import { memorySource } from '../../support/memory-source.js';

type Config = Record<string, unknown>;
type Shapes = Record<string, number[]>;

/** Tiny models of every family with one layer: names and shapes of the tensors that transformers writes. */
const trees = JSON.parse(readFileSync(new URL('./transformers-trees.json', import.meta.url), 'utf8')) as Record<
  string,
  { config: Config; tensors: Shapes }
>;
/** What their config.json leaves out. */
const sizes = {
  ...{ vocab_size: 64, hidden_size: 32, intermediate_size: 48 },
  ...{ num_attention_heads: 2, num_key_value_heads: 1, head_dim: 16 },
};
const mixtures: Record<string, Config> = {
  Mixtral: { num_experts_per_tok: 2 },
  Qwen3Moe: { num_experts_per_tok: 1, moe_intermediate_size: 16 },
};

/** A family's tiny model with `layers` equal layers and some fields and tensors changed. */
async function decoder(
  family: string,
  change: Config = {},
  { layers = 1, tensors = {} as Shapes, without = /^$/ } = {},
): Promise<Decoder> {
  const tree = trees[family]!;
  const all = Object.entries({ ...tree.tensors, ...tensors })
    .filter(([name]) => !without.test(name))
    .flatMap(([name, shape]) =>
      Array.from({ length: layers }, (_, i) => [name.replace('layers.0.', `layers.${i}.`), { shape }] as const),
    );
  const config = { ...sizes, ...mixtures[family], ...tree.config, num_hidden_layers: layers, ...change };
  return decoderOf(
    await buildModel({
      ...{ folder: '/models/tiny', name: 'tiny', companions: [] },
      config: readConfig(JSON.stringify(config)),
      source: memorySource(Object.fromEntries(all)),
    }),
  );
}

const parts = ({ embedding, layers, head }: Decoder): Graph[] => [embedding, ...layers, head];
const has = ({ ops, aliases }: Graph, site: Value) => site in aliases || ops.some(({ out }) => out === site);
const opAt = (graph: Graph | undefined, site: Value): Op => {
  const value = valueAt(graph!, site);
  return graph!.ops.find(({ out }) => out === value)!;
};
const attentionOf = (graph: Graph | undefined) => opAt(graph, 'self_attn.attention') as Op<'attention'>;

describe('decoderOf', () => {
  for (const family of Object.keys(trees)) {
    it(`${family}: every op reads what is there, and every tensor is read`, async () => {
      const { tensors } = trees[family]!;
      const built = await decoder(family);
      const read = new Set<string>();
      for (const { ops, weights, prefix, ropes } of parts(built)) {
        const known = new Set<Value>(['hidden', 'ids', 'positions', ...weights]);
        ropes.forEach(name => known.add(`${name}.cos`).add(`${name}.sin`));
        for (const op of ops) {
          for (const value of readsOf(op)) assert.ok(known.has(value), `${op.out} reads ${value}`);
          assert.ok(!known.has(op.out), `${op.out} comes twice`);
          known.add(op.out);
          if (op.op !== 'experts') continue;
          for (const inner of op.with.body.flatMap(readsOf).filter(name => name.endsWith('.weight'))) {
            for (let e = 0; e < op.with.count; e++) read.add(`${prefix}${op.with.prefix}.${e}.${inner}`);
          }
        }
        assert.equal(ops.at(-1)!.out, 'output');
        assert.ok(ropes.every(name => name in built.ropes));
        weights.forEach(name => read.add(`${prefix}${name}`));
      }
      assert.deepEqual([...read].sort(), Object.keys(tensors).sort());
    });

    it(`${family}: a layer has the sites that observers, modifiers and caches use`, async () => {
      const [layer] = (await decoder(family)).layers;
      const mixture = family in mixtures;
      const sites = [
        ...['hidden', 'input_layernorm', 'self_attn.q.pre_rope', 'self_attn.q', 'self_attn.k.pre_rope', 'self_attn.k'],
        ...[
          'self_attn.v',
          'self_attn.attention',
          'self_attn.o_proj',
          'self_attn',
          'post_attention_layernorm',
          'output',
        ],
        ...(family === 'Phi3' ? ['self_attn.qkv_proj'] : ['q', 'k', 'v'].map(name => `self_attn.${name}_proj`)),
        ...(mixture ? ['mlp.routes'] : ['mlp.gated', 'mlp.down_proj', 'mlp']),
      ];
      for (const site of sites) assert.doesNotThrow(() => valueAt(layer!, site), site);
      assert.throws(() => valueAt(layer!, 'self_attn.nothing'), /no site self_attn\.nothing/);
      // what o_proj and down_proj read are sites by these names, and the keys and values that a cache keeps are the attention's own
      const o = opAt(layer, 'self_attn.o_proj') as Op<'linear'>;
      assert.equal(o.in.x, 'self_attn.attention');
      const { in: reads } = attentionOf(layer);
      assert.deepEqual([reads.q, reads.k, reads.v], ['self_attn.q', 'self_attn.k', 'self_attn.v']);
      if (!mixture) assert.equal((opAt(layer, 'mlp.down_proj') as Op<'linear'>).in.x, 'mlp.gated');
    });

    it(`${family}: equal layers have equal ops, so that they share a program`, async () => {
      // of SmolLM3 every fourth layer differs, of Gemma 2 every second, of Gemma 3 every sixth
      const same: Config = family === 'Gemma2' ? { layer_types: Array(3).fill('full_attention') } : {};
      const [first, ...others] = (await decoder(family, same, { layers: 3 })).layers;
      for (const other of others) assert.deepEqual({ ...other, prefix: '' }, { ...first, prefix: '' });
    });

    it(`${family}: fields that say nothing about the mathematics are no hindrance`, async () => {
      const harmless = {
        ...{
          use_cache: true,
          attention_dropout: 0.1,
          initializer_range: 0.02,
          bos_token_id: 1,
          torch_dtype: 'bfloat16',
        },
        ...{ pretraining_tp: 1, is_causal: true, attention_chunk_size: null, clip_qkv: null, qk_layernorm: false },
        ...{
          rope_interleaved: false,
          use_rope: true,
          partial_rotary_factor: 1,
          router_aux_loss_coef: 0.02,
          unsloth_fixed: true,
        },
        ...{
          output_attentions: false,
          _attn_implementation: 'eager',
          tie_encoder_decoder: false,
          chunk_size_feed_forward: 0,
        },
        ...{ 'transformers.js_config': { dtype: 'q4' }, max_length: 20, temperature: 1, auto_map: {} },
        ...{ use_flash_attn: true, num_nextn_predict_layers: 0, shared_expert_intermediate_size: 0 },
      };
      assert.deepEqual(await decoder(family, harmless), await decoder(family));
    });

    for (const [key, value] of Object.entries({
      ...{ is_causal: false, use_bidirectional_attention: true, attention_chunk_size: 4, clip_qkv: 8, alibi: true },
      swiglu_limit: 7,
      ...{ parallel_attn: true, use_parallel_residual: true, partial_rotary_factor: 0.25, rope_interleaved: true },
      ...{
        attn_temperature_tuning: true,
        per_layer_config: { 0: {} },
        activation_sparsity_pattern: [0.95],
        logit_scale: 0.5,
      },
      ...{
        attention_sinks: 4,
        altup_num_inputs: 4,
        qk_layernorm: true,
        layer_scalar: 0.5,
        num_experts: 7,
        rms_norm_eps: '1',
      },
    })) {
      if (family === 'Phi3' && key === 'partial_rotary_factor') continue;
      it(`${family}: refuses ${key} ${JSON.stringify(value)}`, async () => {
        await assert.rejects(decoder(family, { [key]: value }), (error: Error & { code?: string }) => {
          return (
            error.code === 'MODEL' && (error.message.includes(key) || (key === 'num_experts' && family in mixtures))
          );
        });
      });
    }

    it(`${family}: names what does not fit its tensors`, async () => {
      const wrong = { code: 'MODEL', message: /has the shape \[.*\], but config\.json asks for \[/ };
      await assert.rejects(decoder(family, { vocab_size: 63 }), wrong);
      await assert.rejects(decoder(family, { head_dim: 8 }), wrong);
      await assert.rejects(decoder(family, { intermediate_size: 24, moe_intermediate_size: 24 }), { code: 'MODEL' });
      const bias = 'model.layers.0.self_attn.o_proj.bias';
      await assert.rejects(decoder(family, {}, { tensors: { [bias]: [32] } }), {
        ...{ code: 'MODEL', place: { tensor: bias } },
        message: `${String(trees[family]!.config['architectures'])} has no tensor ${bias}, so the model cannot be run`,
      });
    });
  }

  const refusals: [string, string, Config, RegExp][] = [
    ['a missing size', 'Llama', { hidden_size: null }, /^hidden_size is null/],
    ['an unknown activation', 'Llama', { hidden_act: 'mish' }, /^hidden_act is "mish", expected one of silu, /],
    ['dense layers that are no list', 'Qwen3Moe', { mlp_only_layers: 1 }, /^mlp_only_layers is 1, expected a list/],
    ['heads that do not divide', 'Llama', { head_dim: null, num_attention_heads: 3 }, /^num_attention_heads is 3/],
    [
      'key heads that do not divide',
      'Llama',
      { num_attention_heads: 5, num_key_value_heads: 2 },
      /^num_key_value_heads is 2/,
    ],
    ['a window that Llama has not', 'Llama', { sliding_window: 128 }, /with sliding_window 128/],
    ['caps that Llama has not', 'Llama', { final_logit_softcapping: 30 }, /with final_logit_softcapping 30/],
    ['factors that Llama has not', 'Llama', { residual_multiplier: 0.22 }, /with residual_multiplier 0\.22/],
    ['layers without rope in Llama', 'Llama', { no_rope_layers: [0] }, /with no_rope_layers \[0\]/],
    ['an unknown rope', 'Llama', { rope_scaling: { type: 'mrope' } }, /^rope_parameters\.rope_type is "mrope"/],
    ['rope that is no object', 'Llama', { rope_scaling: [2] }, /^rope_scaling is/],
    [
      'rope per layer type',
      'Llama',
      { rope_parameters: { full_attention: {} } },
      /^rope_parameters\.full_attention is/,
    ],
    ['a theta that is none', 'Llama', { rope_theta: '1e4' }, /^rope_theta is "1e4"/],
    ['biases that Mistral has not', 'Mistral', { attention_bias: true }, /with attention_bias true/],
    [
      'layers that differ in Mistral',
      'Mistral',
      { layer_types: ['full_attention'] },
      /^layer_types is "full_attention"/,
    ],
    ['unknown layer types', 'Qwen2', { layer_types: ['chunked_attention'] }, /^layer_types is \["chunked_attention"\]/],
    ['sliding layers without a window', 'Qwen3', { layer_types: ['sliding_attention'] }, /^layer_types is "sliding_/],
    ['two windows', 'Gemma2', { sliding_window_size: 2048 }, /^sliding_window_size is 2048, expected 4096/],
    ['norms that the tensors have and config.json denies', 'Qwen3', { use_qk_norm: false }, /^use_qk_norm is false/],
    ['norms without tensors', 'Llama', { use_qk_norm: true }, /with use_qk_norm true/],
    [
      'two families',
      'Llama',
      { model_type: 'gemma' },
      /^architectures names LlamaForCausalLM, but model_type is that of Gem/,
    ],
    ['a window of nothing', 'Gemma2', { sliding_window: 0 }, /^sliding_window is 0/],
    ['activations that differ', 'Gemma2', { hidden_act: 'silu' }, /^hidden_act is "silu"/],
    ['a cap that Gemma 3 does not apply', 'Gemma3', { attn_logit_softcapping: 50 }, /attn_logit_softcapping 50/],
    [
      'one rope for all of Gemma 3',
      'Gemma3',
      { rope_parameters: { rope_type: 'default' } },
      /^rope_parameters\.rope_type is/,
    ],
    [
      'part of a head outside of Phi-3',
      'Gemma3',
      { rope_scaling: { partial_rotary_factor: 0.5 } },
      /^partial_rotary_factor/,
    ],
    [
      'ropes that Phi-3 does not have',
      'Phi3',
      { rope_scaling: { type: 'linear', factor: 2 } },
      /^rope_parameters\.rope_type is/,
    ],
    ['an odd part of a head', 'Phi3', { partial_rotary_factor: 0.2 }, /^partial_rotary_factor is 0\.2/],
    [
      'a type of rope that Gemma 3 does not see',
      'Gemma3',
      { rope_scaling: { type: 'linear', factor: 2 } },
      /^rope_scaling\.type is "linear"/,
    ],
    ['null where there is a number', 'Llama', { rms_norm_eps: null }, /^rms_norm_eps is null/],
    ['layer types for other layers', 'Qwen2', { layer_types: ['full_attention', 'full_attention'] }, /^layer_types is/],
    ['more experts than there are', 'Qwen3Moe', { num_experts_per_tok: 3 }, /^num_experts_per_tok is 3/],
    ['shared experts', 'Qwen3Moe', { shared_expert_intermediate_size: 16 }, /with shared_expert_intermediate_size 16/],
    ['rope in some layers that is no list of flags', 'SmolLM3', { no_rope_layers: [2] }, /^no_rope_layers is \[2\]/],
  ];
  for (const [what, family, change, message] of refusals) {
    it(`refuses ${what}`, () => assert.rejects(decoder(family, change), { code: 'MODEL', message }));
  }

  it('names the architectures that it knows when it does not know one', async () => {
    await assert.rejects(decoder('Llama', { architectures: ['FooForCausalLM'] }), {
      ...{ code: 'MODEL', message: 'models of architecture FooForCausalLM cannot be run' },
      hint: /^those that can: GemmaForCausalLM, .*SmolLM3ForCausalLM$/,
    });
  });

  it('refuses tensors by the names of another architecture, and a layer with tensors that its own has not', async () => {
    const { tensors } = trees['Llama']!;
    const renamed = Object.fromEntries(
      Object.entries(tensors).map(([name, shape]) => [name.replace('model.', 'body.'), { shape }]),
    );
    const inferred = await buildModel({
      ...{ folder: '/models/tiny', name: 'tiny', companions: [] },
      config: readConfig(JSON.stringify({ ...sizes, ...trees['Llama']!.config })),
      source: memorySource(renamed),
    });
    assert.throws(() => decoderOf(inferred), {
      code: 'MODEL',
      message: /^the tensors are not named as those of LlamaFor/,
    });
    const norm = 'model.layers.0.self_attn.q_norm.weight';
    await assert.rejects(decoder('Llama', {}, { tensors: { [norm]: [16] } }), { place: { tensor: norm } });
    await assert.doesNotReject(
      decoder('Llama', {}, { tensors: { 'model.layers.0.self_attn.rotary_emb.inv_freq': [8] } }),
    );
  });

  it('compressed: the graph of the model that was compressed; a bias that its config does not tell of is refused there too', async () => {
    const name = 'model.layers.0.mlp.up_proj.weight';
    const stored = { [`${name}_packed`]: [48, 4], [`${name}_scale`]: [48, 1], [`${name}_shape`]: [2] };
    const options = { tensors: stored, without: new RegExp(`${name}$`) };
    const change = { quantization_config: { quant_method: 'compressed-tensors' } };
    assert.deepEqual(await decoder('Llama', change, options), await decoder('Llama'));
    // of a tied embedding whose codes are packed
    const table = 'model.embed_tokens.weight';
    const embedding = { [`${table}_packed`]: [64, 4], [`${table}_scale`]: [64, 1], [`${table}_shape`]: [2] };
    const tied = { tie_word_embeddings: true };
    assert.deepEqual(
      await decoder('Llama', { ...change, ...tied }, { tensors: embedding, without: /embed_tokens\.weight$|lm_head/ }),
      await decoder('Llama', tied, { without: /lm_head/ }),
    );
    const bias = { 'model.layers.0.mlp.up_proj.bias': [48] };
    await assert.rejects(
      decoder('Llama', change, { ...options, tensors: { ...stored, ...bias } }),
      /has no tensor .*bias/,
    );
    const without = /up_proj|post_attention/;
    await assert.rejects(
      decoder('Llama', change, { tensors: stored, without }),
      /lack .*post_attention_layernorm\.weight$/,
    );
  });

  it('Mixtral: the experts of a quantized checkpoint by the names that llm-compressor gives them', async () => {
    const names: Record<string, string> = { w1: 'gate_proj', w2: 'down_proj', w3: 'up_proj' };
    const renamed = Object.entries(trees['Mixtral']!.tensors)
      .filter(([name]) => /\.w[123]\./.test(name))
      .map(([name, shape]) => [name.replace(/w[123]/, w => names[w]!), shape] as const);
    const change = { quantization_config: { quant_method: 'compressed-tensors' } };
    const options = { tensors: Object.fromEntries(renamed), without: /\.w[123]\./ };
    const [layer] = (await decoder('Mixtral', change, options)).layers;
    const { body } = (opAt(layer, 'block_sparse_moe') as Op<'experts'>).with;
    assert.deepEqual(
      body.map(({ in: reads }) => ('weight' in reads ? reads.weight : reads)),
      ['gate_proj.weight', 'up_proj.weight', { gate: 'gate_proj', up: 'up_proj' }, 'down_proj.weight'],
    );
  });

  it('names a tensor that holds all experts of a layer', async () => {
    const fused = 'model.layers.0.mlp.experts.gate_up_proj';
    const options = { tensors: { [fused]: [2, 32, 32] }, without: /experts\.\d/ };
    const refused = {
      place: { tensor: fused },
      message: `${fused} holds all experts of a layer in one tensor, which cannot be run`,
    };
    await assert.rejects(decoder('Qwen3Moe', {}, options), refused);
  });

  it('the head is the last Linear, of the embedding where the two are tied', async () => {
    const [tied, own] = [await decoder('Gemma2', { final_logit_softcapping: 3 }), await decoder('Llama')];
    assert.deepEqual(tied.head.weights, ['model.norm.weight', 'model.embed_tokens.weight']);
    assert.deepEqual(own.head.weights, ['model.norm.weight', 'lm_head.weight']);
    assert.deepEqual(own.head.aliases, { 'model.norm': 'norm', lm_head: 'output' });
    assert.deepEqual(tied.head.ops.at(-1), { op: 'softcap', in: { x: 'lm_head' }, out: 'output', with: { cap: 3 } });
  });

  it('a mixture is cut between its router and its experts', async () => {
    const [layer] = (await decoder('Mixtral')).layers;
    const cut = stages(layer!, ['output']);
    assert.deepEqual(
      cut.map(stage => ('slice' in stage ? stage.slice.outputs : stage.mixture.with.prefix)),
      [['residual', 'post_attention_layernorm', 'mlp.routes'], 'block_sparse_moe.experts', ['output']],
    );
    const [, mixture] = cut;
    assert.ok(mixture !== undefined && 'mixture' in mixture);
    assert.deepEqual([...mixture.expert.inputs].sort(), ['w1.weight', 'w2.weight', 'w3.weight', 'x']);
  });

  it('what files of published models repeat changes nothing', async () => {
    const repeated: [family: string, config: Config][] = [
      ['Gemma2', { sliding_window: 8, sliding_window_size: 8 }],
      ['Qwen3', { use_qk_norm: true }],
      ['Qwen3Moe', { use_qk_norm: true, qkv_bias: false, shared_expert_intermediate_size: 0 }],
    ];
    for (const [family, { sliding_window, ...config }] of repeated) {
      const base = sliding_window === undefined ? {} : { sliding_window };
      assert.deepEqual(await decoder(family, { ...base, ...config }), await decoder(family, base), family);
    }
  });

  it('Gemma: gelu is its tanh form, gelu_python is not', async () => {
    const act = async (hidden_act: string) => {
      const [layer] = (await decoder('Gemma', { hidden_act })).layers;
      return (opAt(layer, 'mlp.gated') as Op<'gated'>).with.act;
    };
    assert.deepEqual([await act('gelu'), await act('gelu_python')], ['gelu_tanh', 'gelu']);
  });

  it('windows: where the families say', async () => {
    const windows = async (family: string, change: Config, layers = 4) =>
      (await decoder(family, change, { layers })).layers.map(layer => attentionOf(layer).with.window);
    assert.deepEqual(await windows('Mistral', {}), [4096, 4096, 4096, 4096]);
    assert.deepEqual(await windows('Mistral', { sliding_window: null }), [null, null, null, null]);
    assert.deepEqual(await windows('Qwen2', { sliding_window: 8, max_window_layers: 1 }), [null, null, null, null]);
    const sliding = { use_sliding_window: true, sliding_window: 8, max_window_layers: 3 };
    assert.deepEqual(await windows('Qwen2', sliding), [null, null, null, 8]);
    assert.deepEqual(await windows('Qwen3Moe', sliding), [8, 8, 8, 8]);
    assert.deepEqual(await windows('Gemma2', { sliding_window: 8 }), [8, null, 8, null]);
    assert.deepEqual(await windows('Gemma3', { sliding_window: 8, sliding_window_pattern: 3 }), [8, 8, null, 8]);
    assert.deepEqual(await windows('SmolLM3', sliding), [null, null, null, 8]);
  });

  it('ropes: from either spelling, per layer type in Gemma 3, none in some layers of SmolLM3', async () => {
    const scaled = { rope_type: 'linear', factor: 2 };
    const old = await decoder('Llama', { rope_theta: 5e5, rope_scaling: scaled });
    const now = await decoder('Llama', { rope_parameters: { ...scaled, rope_theta: 5e5 } });
    assert.deepEqual([old.ropes['rope']!.theta, old.ropes['rope']!.dim], [5e5, 16]);
    assert.deepEqual(old.layers, now.layers);
    const { ropes, layers } = await decoder(
      'Gemma3',
      { rope_scaling: scaled, sliding_window_pattern: 2 },
      { layers: 2 },
    );
    assert.deepEqual(
      layers.map(layer => layer.ropes),
      [['rope_local'], ['rope_global']],
    );
    assert.deepEqual([ropes['rope_local']!.theta, ropes['rope_global']!.theta], [1e4, 1e6]);
    assert.equal(ropes['rope_global']!.parameters['rope_type'], 'linear');
    assert.equal(ropes['rope_local']!.parameters['rope_type'], 'default');
    const smol = (await decoder('SmolLM3', {}, { layers: 4 })).layers;
    assert.deepEqual(
      smol.map(layer => layer.ropes.length),
      [1, 1, 1, 0],
    );
    assert.equal(valueAt(smol[3]!, 'self_attn.q_proj'), 'self_attn.q');
    assert.equal(valueAt(smol[3]!, 'self_attn.k.pre_rope'), 'self_attn.k');
    assert.ok(has(smol[3]!, 'self_attn.v_proj'));
  });

  it('Qwen3-MoE: dense layers where config.json says so', async () => {
    const dense = Object.entries(trees['Qwen3']!.tensors).filter(([name]) => name.includes('.mlp.'));
    const options = { tensors: Object.fromEntries(dense), without: /mlp\.(gate\.|experts)/ };
    for (const change of [{ mlp_only_layers: [0] }, { decoder_sparse_step: 2 }, { num_local_experts: 0 }]) {
      const [layer] = (await decoder('Qwen3Moe', change, options)).layers;
      assert.ok(has(layer!, 'mlp.down_proj') && !has(layer!, 'mlp.routes'), JSON.stringify(change));
    }
  });
});
