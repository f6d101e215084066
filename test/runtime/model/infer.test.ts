import assert from 'node:assert/strict';
import fc from 'fast-check';
import { familyOf, inDeclarationOrder, inferClass, kindOf, outsideAt } from '../../../src/runtime/model/infer.js';

const kind = (name: string, shape: number[] = [8, 4], architecture = 'FooForCausalLM') =>
  kindOf(name.split('.'), shape, architecture);

describe('kindOf', () => {
  const cases: Record<string, string[]> = {
    linear: [
      ...['model.layers.0.self_attn.q_proj', 'transformer.h.0.mlp.dense_4h_to_h', 'lm_head', 'embed_out', 'output'],
      ...['model.layers.1.mlp.gate_proj', 'model.layers.0.mlp.gate_up_proj', 'model.layers.0.mlp.experts.7.w1'],
      ...[
        'model.layers.0.self_attn.output_gate',
        'model.decoder.project_in',
        'model.embed_proj',
        'albert.embedding_hidden_mapping_in',
      ],
      ...['transformer.h.0.attn.c_attn', 'model.layers.0.mixer.x_proj', 'model.layers.0.conv.in_proj'],
    ],
    embedding: [
      'model.embed_tokens',
      'transformer.wte',
      'tok_embeddings',
      'gpt_neox.embed_in',
      'rwkv.embeddings',
      'shared',
      'model.emb',
    ],
    position: ['transformer.wpe', 'model.decoder.embed_positions', 'bert.embeddings.position_embeddings'],
    norm: [
      ...[
        'model.norm',
        'transformer.ln_f',
        'model.layers.0.input_layernorm',
        'h.0.ln1',
        'final_layer_norm',
        'backbone.norm_f',
      ],
      ...['model.layers.0.self_attn.q_norm', 'transformer.word_embeddings_layernorm', 'layers.0.attention_norm'],
    ],
    router: [
      ...['model.layers.0.mlp.gate', 'model.layers.0.feed_forward.router', 'layers.0.block_sparse_moe.router.layer'],
      ...['model.layers.0.mlp.shared_expert_gate', 'model.layers.0.mlp.router.gate', 'model.layers.0.mlp.gating'],
    ],
    convolution: ['model.layers.0.mixer.conv1d', 'model.layers.0.conv', 'conv_proj', 'temporal_block.conv_1d'],
  };
  for (const [expected, names] of Object.entries(cases)) {
    it(`takes ${names[0]} and its like for ${expected}`, () => {
      for (const name of names) assert.equal(kind(name), expected, name);
    });
  }

  it('knows no Linear with other than two dimensions', () => {
    assert.equal(kind('model.layers.0.mlp.experts', [4, 8, 8]), 'other');
    assert.equal(kind('model.layers.0.scale', [8]), 'other');
    assert.equal(kind('model.norm', [8]), 'norm');
  });

  it('knows that GPT-2 transposes, and that GPTBigCode does not', () => {
    assert.equal(kind('transformer.h.0.attn.c_attn', [4, 12], 'GPT2LMHeadModel'), 'transposed');
    assert.equal(kind('transformer.h.0.attn.c_attn', [12, 4], 'GPTBigCodeForCausalLM'), 'linear');
    assert.equal(kind('lm_head', [8, 4], 'GPT2LMHeadModel'), 'linear');
  });
});

describe('inferClass', () => {
  it('takes a quantized module for an Embedding if its name says so', () => {
    assert.equal(inferClass('model.embed_tokens'), 'Embedding');
    assert.equal(inferClass('model.layers.0.mlp.gate'), 'Linear');
    assert.equal(inferClass('lm_head'), 'Linear');
  });
});

describe('outsideAt', () => {
  it('finds towers, projectors and heads for further tokens', () => {
    assert.equal(outsideAt(['model', 'visual', 'blocks', '0']), 1);
    for (const name of ['vision_tower', 'multi_modal_projector', 'mm_projector', 'audio_tower', 'mtp'])
      assert.equal(outsideAt([name]), 0);
    assert.equal(outsideAt(['model', 'layers', '0', 'self_attn', 'v_proj']), -1);
  });
});

describe('familyOf', () => {
  it('strips what architectures end in', () => {
    const families = ['Qwen3ForCausalLM', 'GPT2LMHeadModel', 'LlavaForConditionalGeneration', 'LlamaModel', 'Odd'].map(
      familyOf,
    );
    assert.deepEqual(families, ['Qwen3', 'GPT2', 'Llava', 'Llama', 'Odd']);
  });
});

describe('inDeclarationOrder', () => {
  const sorted = (names: string[]) => inDeclarationOrder(names.sort(), name => name);

  it('orders modules as decoders declare them', () => {
    const orders = [
      ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'k_norm', 'q_norm'],
      ['query_key_value', 'dense'],
      ['c_attn', 'c_proj'],
      ['q_a_proj', 'q_b_proj', 'kv_a_proj_with_mqa', 'kv_b_proj', 'o_proj'],
      ['gate_proj', 'up_proj', 'down_proj'],
      ['gate', 'experts', 'shared_experts'],
      ['dense_h_to_4h', 'dense_4h_to_h'],
      ['fc1', 'fc2'],
      ['in_proj', 'x_proj', 'dt_proj', 'out_proj'],
      ['self_attn', 'mlp', 'input_layernorm', 'post_attention_layernorm'],
      ['visual', 'model', 'lm_head'],
      ['embed_tokens', 'layers', 'norm'],
      ['embed_in', 'layers', 'final_layer_norm', 'embed_out'],
      ['wte', 'wpe', 'h', 'ln_f'],
      ['2', '10', '11'],
    ];
    for (const order of orders) assert.deepEqual(sorted([...order]), order);
  });

  it('is one order, however the names come', () => {
    const name = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.nat(2000).map(String),
      fc.constantFrom('q_proj', 'w1', 'w10', 'w2', 'norm'),
    );
    fc.assert(
      fc.property(fc.uniqueArray(name), names => {
        assert.deepEqual(sorted([...names].reverse()), sorted(names));
        assert.deepEqual(
          inDeclarationOrder([...names].reverse(), n => n),
          inDeclarationOrder(names, n => n),
        );
      }),
    );
  });
});
