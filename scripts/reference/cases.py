"""The models of architectures.py: a config.json each, and `unlike`, a change of it that must change the logits.

`keys` is what the file says; with `hub` it is written as it stands, in the spelling of the checkpoints of its time, else as transformers
saves it (every key, rope_parameters). Sizes are small and odd on purpose: a head_dim that is not hidden / heads, prompts longer than the
window, frequencies on every branch of each rope scaling.
"""

LLAMA = dict(architectures=['LlamaForCausalLM'], model_type='llama', hidden_size=32, intermediate_size=48, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=96, max_position_embeddings=64,
             tie_word_embeddings=False)


def of(architecture, model_type, **keys):
    return {**LLAMA, 'architectures': [architecture + 'ForCausalLM'], 'model_type': model_type, **keys}


def rope(kind, theta=10000.0, **keys):
    return dict(rope_type=kind, rope_theta=theta, **keys)


def without(keys, *names):
    return {key: value for key, value in keys.items() if key not in names}


MISTRAL = of('Mistral', 'mistral')
QWEN2 = without(of('Qwen2', 'qwen2', num_hidden_layers=3, hidden_size=48), 'head_dim')
QWEN3 = of('Qwen3', 'qwen3', num_hidden_layers=3)
GEMMA = of('Gemma', 'gemma', tie_word_embeddings=True, num_key_value_heads=1)
GEMMA2 = of('Gemma2', 'gemma2', tie_word_embeddings=True, num_hidden_layers=3, hidden_size=48, sliding_window=8,
            query_pre_attn_scalar=24, attn_logit_softcapping=2.0, final_logit_softcapping=5.0)
GEMMA3 = of('Gemma3', 'gemma3_text', tie_word_embeddings=True, num_hidden_layers=3, sliding_window=8, query_pre_attn_scalar=24)
PHI3 = without(of('Phi3', 'phi3', hidden_size=48, num_attention_heads=3, num_key_value_heads=1, pad_token_id=0, eos_token_id=2),
               'head_dim')
MIXTRAL = without(of('Mixtral', 'mixtral', num_local_experts=4, num_experts_per_tok=2), 'head_dim')
QWEN3_MOE = of('Qwen3Moe', 'qwen3_moe', num_experts=6, num_experts_per_tok=2, moe_intermediate_size=24, norm_topk_prob=True)
GRANITE = without(of('Granite', 'granite', embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.7,
                     logits_scaling=0.5), 'head_dim')
SMOLLM3 = of('SmolLM3', 'smollm3', num_hidden_layers=3, pad_token_id=None, bos_token_id=1, eos_token_id=2)

DEFAULT = dict(rope_parameters=rope('default'))
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=128)
YARN = dict(factor=4.0, original_max_position_embeddings=256, beta_fast=8, beta_slow=1)
SHORT = [1.0, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
LONG = [1.0, 1.5, 2.2, 3.1, 4.5, 6.0, 8.0, 9.5]
NESTED = dict(sliding_attention=rope('default', 10000.0), full_attention=rope('linear', 100000.0, factor=8.0))


def case(keys, unlike, hub=False, file={}, **more):
    """`file`: keys of the model that was saved, where the config beside its tensors says something else."""
    return dict(keys={**keys, **more}, unlike=unlike, hub=hub, file=file)


CASES = {
    'llama-plain': case(LLAMA, dict(rms_norm_eps=1e-1)),
    'llama-hub': case(without(LLAMA, 'head_dim', 'num_key_value_heads', 'tie_word_embeddings'), dict(rope_theta=10000.0), hub=True,
                      rope_theta=500.0, rope_scaling=None, hidden_act='silu', rms_norm_eps=1e-5, pretraining_tp=1, torch_dtype='float32'),
    'llama-llama3': case(LLAMA, DEFAULT, rope_parameters=rope('llama3', **LLAMA3), max_position_embeddings=1024),
    'llama-llama3-hub': case(without(LLAMA, 'head_dim'), dict(rope_scaling=None), hub=True, hidden_size=48, num_attention_heads=3,
                             num_key_value_heads=1, rope_theta=2000.0, rope_scaling=dict(rope_type='llama3', **LLAMA3),
                             max_position_embeddings=1024),
    'llama-linear': case(LLAMA, DEFAULT, rope_parameters=rope('linear', factor=4.0)),
    'llama-linear-hub': case(LLAMA, dict(rope_scaling=None), hub=True, rope_theta=10000.0, rope_scaling=dict(type='linear', factor=2.5)),
    'llama-dynamic': case(LLAMA, DEFAULT, rope_parameters=rope('dynamic', factor=2.0), max_position_embeddings=16),
    'llama-dynamic-hub': case(LLAMA, dict(rope_scaling=None), hub=True, max_position_embeddings=20, rope_theta=300.0,
                              rope_scaling=dict(type='dynamic', factor=4.0)),
    'llama-yarn': case(LLAMA, DEFAULT, rope_parameters=rope('yarn', **YARN), max_position_embeddings=1024),
    'llama-yarn-mscale': case(LLAMA, dict(rope_parameters=rope('yarn', **YARN, mscale=0.7, mscale_all_dim=2.0)),
                              rope_parameters=rope('yarn', **YARN, mscale=0.7, mscale_all_dim=2.0, truncate=False),
                              max_position_embeddings=1024),
    'llama-yarn-attention-factor': case(LLAMA, dict(rope_parameters=rope('yarn', **YARN)), max_position_embeddings=1024,
                                        rope_parameters=rope('yarn', **YARN, attention_factor=0.8)),
    'llama-longrope': case(LLAMA, DEFAULT, rope_parameters=rope('longrope', short_factor=SHORT, long_factor=LONG, factor=4.0,
                                                                original_max_position_embeddings=20)),
    'llama-biases': case(LLAMA, dict(rms_norm_eps=1e-1), attention_bias=True, mlp_bias=True),
    'llama-attention-bias': case(LLAMA, dict(rms_norm_eps=1e-1), attention_bias=True),
    'llama-tied': case(LLAMA, dict(rms_norm_eps=1e-1), tie_word_embeddings=True),
    'llama-eps': case(LLAMA, dict(rms_norm_eps=1e-6), rms_norm_eps=1e-1),
    'llama-gelu': case(LLAMA, dict(hidden_act='silu'), hidden_act='gelu'),
    'llama-gelu-tanh': case(LLAMA, dict(hidden_act='silu'), hidden_act='gelu_pytorch_tanh'),
    'llama-relu': case(LLAMA, dict(hidden_act='silu'), hidden_act='relu'),
    'llama-one-head': case(LLAMA, DEFAULT, num_attention_heads=2, num_key_value_heads=1, head_dim=24,
                           rope_parameters=rope('default', 50.0)),

    'llama-own-head-hub': case(LLAMA, dict(rms_norm_eps=1e-1), hub=True, file=dict(tie_word_embeddings=False), tie_word_embeddings=True),
    'llama-precedence-hub': case(LLAMA, dict(rope_scaling=None), hub=True, rope_theta=10000.0, original_max_position_embeddings=128,
                                 rope_parameters=rope('linear', 10000.0, factor=2.0), max_position_embeddings=1024,
                                 rope_scaling=rope('yarn', 300.0, type='linear', **{**YARN, 'original_max_position_embeddings': 64})),
    'llama-proportional': case(LLAMA, DEFAULT, rope_parameters=rope('proportional', partial_rotary_factor=0.5)),

    'mistral-window': case(MISTRAL, dict(sliding_window=9), sliding_window=8),
    'mistral-null': case(MISTRAL, dict(sliding_window=8), sliding_window=None),
    'mistral-hub': case(without(MISTRAL, 'head_dim'), dict(rope_theta=10000.0), hub=True, rope_theta=1000000.0, hidden_act='silu',
                        rms_norm_eps=1e-5),

    'qwen2-plain': case(QWEN2, dict(use_sliding_window=True, sliding_window=8, max_window_layers=1, layer_types=None)),
    'qwen2-window-layers': case(QWEN2, dict(max_window_layers=2, layer_types=None), use_sliding_window=True, sliding_window=8,
                                max_window_layers=1),
    'qwen2-layer-types': case(QWEN2, dict(layer_types=['full_attention'] * 3), use_sliding_window=True, sliding_window=8,
                              layer_types=['sliding_attention', 'full_attention', 'sliding_attention']),
    'qwen2-hub': case(QWEN2, dict(use_sliding_window=True), hub=True, use_sliding_window=False, sliding_window=8, max_window_layers=1,
                      rope_theta=1000000.0, hidden_act='silu', rms_norm_eps=1e-6, tie_word_embeddings=True),
    'qwen2-window-hub': case(QWEN2, dict(use_sliding_window=False), hub=True, use_sliding_window=True, sliding_window=8,
                             max_window_layers=2, rope_theta=1000000.0),
    'qwen2-yarn-hub': case(QWEN2, dict(rope_scaling=None), hub=True, rope_theta=10000.0, max_position_embeddings=1024,
                           rope_scaling=dict(type='yarn', factor=4.0, original_max_position_embeddings=256)),

    'qwen2-head-dim-hub': case(QWEN2, dict(rope_theta=100.0), hub=True, head_dim=16, rope_theta=10000.0),

    'qwen3-plain': case(QWEN3, dict(rms_norm_eps=1e-1)),
    'qwen3-bias': case(QWEN3, dict(rms_norm_eps=1e-1), attention_bias=True),
    'qwen3-yarn-hub': case(QWEN3, dict(rope_scaling=None), hub=True, attention_bias=False, rope_theta=1000000.0,
                           max_position_embeddings=40960, use_sliding_window=False, sliding_window=None, max_window_layers=3,
                           rope_scaling=dict(rope_type='yarn', factor=4.0, original_max_position_embeddings=32768)),
    'qwen3-window': case(QWEN3, dict(max_window_layers=2, layer_types=None), use_sliding_window=True, sliding_window=8,
                         max_window_layers=1),
    'qwen3-tied': case(QWEN3, DEFAULT, tie_word_embeddings=True, rope_parameters=rope('default', 300.0)),

    'gemma-plain': case(GEMMA, dict(hidden_act='silu'), hidden_act='gelu_pytorch_tanh'),
    'gemma-hub': case(without(GEMMA, 'tie_word_embeddings'), dict(rope_theta=100.0), hub=True, hidden_act='gelu', hidden_activation=None,
                      rope_theta=10000.0, rope_scaling=None, attention_bias=False),
    'gemma-gelu-python': case(GEMMA, dict(hidden_act='silu'), hidden_act='gelu_python'),
    'gemma-bias': case(GEMMA, dict(rms_norm_eps=10.0), attention_bias=True),

    'gemma2-plain': case(GEMMA2, dict(query_pre_attn_scalar=16)),
    'gemma2-attention-cap': case(GEMMA2, dict(attn_logit_softcapping=None), final_logit_softcapping=None),
    'gemma2-final-cap': case(GEMMA2, dict(final_logit_softcapping=None), attn_logit_softcapping=None),
    'gemma2-no-caps': case(GEMMA2, dict(sliding_window=9), attn_logit_softcapping=None, final_logit_softcapping=None),
    'gemma2-hub': case(GEMMA2, dict(sliding_window=9), hub=True, hidden_act='gelu_pytorch_tanh',
                       hidden_activation='gelu_pytorch_tanh', rope_theta=10000.0, attention_bias=False, cache_implementation='hybrid'),

    'gemma2-window-twice-hub': case(GEMMA2, dict(sliding_window=9), hub=True, hidden_activation='gelu_pytorch_tanh', rope_theta=10000.0,
                                    sliding_window_size=8),

    'gemma3-plain': case(GEMMA3, dict(rope_parameters={**NESTED, 'sliding_attention': rope('default', 100.0)}),
                         rope_parameters=NESTED, layer_types=['sliding_attention', 'full_attention', 'sliding_attention']),
    'gemma3-hub': case(GEMMA3, dict(rope_scaling=None), hub=True, sliding_window_pattern=2, rope_theta=10000.0, rope_local_base_freq=100.0,
                       rope_scaling=dict(rope_type='linear', factor=8.0), hidden_activation='gelu_pytorch_tanh', attention_bias=False,
                       attn_logit_softcapping=None, final_logit_softcapping=None, cache_implementation='hybrid'),
    'gemma3-yarn-hub': case(GEMMA3, dict(rope_scaling=None), hub=True, sliding_window_pattern=3, rope_theta=10000.0,
                            rope_scaling=dict(rope_type='yarn', **YARN), max_position_embeddings=1024),
    'gemma3-final-cap': case(GEMMA3, dict(final_logit_softcapping=None), final_logit_softcapping=5.0, attention_bias=True),

    'phi3-plain': case(PHI3, dict(rms_norm_eps=1e-1)),
    'phi3-window': case(PHI3, dict(sliding_window=9), sliding_window=8, num_key_value_heads=3),
    'phi3-partial': case(PHI3, dict(rope_parameters=rope('default', partial_rotary_factor=1.0)), tie_word_embeddings=True,
                         rope_parameters=rope('default', partial_rotary_factor=0.75)),
    'phi3-longrope': case(PHI3, dict(rope_parameters=rope('longrope', short_factor=SHORT, long_factor=SHORT)),
                          rope_parameters=rope('longrope', short_factor=SHORT, long_factor=LONG), original_max_position_embeddings=17),
    'phi3-longrope-hub': case(PHI3, dict(rope_scaling=None), hub=True, rope_theta=10000.0, original_max_position_embeddings=16,
                              max_position_embeddings=128, rope_scaling=dict(type='longrope', short_factor=SHORT, long_factor=LONG)),
    'phi3-longrope-partial-hub': case(PHI3, dict(rope_scaling=None), hub=True, rope_theta=10000.0, original_max_position_embeddings=16,
                                      partial_rotary_factor=0.75, tie_word_embeddings=True,
                                      rope_scaling=dict(type='longrope', short_factor=SHORT[:6], long_factor=LONG[:6])),

    'phi3-longrope-inside-hub': case(PHI3, dict(original_max_position_embeddings=16), hub=True, max_position_embeddings=128,
                                     rope_scaling=dict(type='longrope', short_factor=SHORT, long_factor=LONG,
                                                       original_max_position_embeddings=16)),

    'mixtral-plain': case(MIXTRAL, dict(num_experts_per_tok=3)),
    'mixtral-window': case(MIXTRAL, dict(sliding_window=9), sliding_window=8),
    'mixtral-hub': case(MIXTRAL, dict(rope_theta=100.0), hub=True, rope_theta=1000000.0, sliding_window=None, hidden_act='silu',
                        rms_norm_eps=1e-5, num_experts_per_tok=1, output_router_logits=False, router_aux_loss_coef=0.02),

    'qwen3-moe-plain': case(QWEN3_MOE, dict(norm_topk_prob=False)),
    'qwen3-moe-unnormalized': case(QWEN3_MOE, dict(norm_topk_prob=True), norm_topk_prob=False),
    'qwen3-moe-mlp-only': case(QWEN3_MOE, dict(norm_topk_prob=False), num_hidden_layers=3, num_experts=4,
                               mlp_only_layers=[1]),
    'qwen3-moe-step': case(QWEN3_MOE, dict(norm_topk_prob=False), num_hidden_layers=3, decoder_sparse_step=2),
    'qwen3-moe-window': case(QWEN3_MOE, dict(sliding_window=9), num_experts=5, use_sliding_window=True, sliding_window=8,
                             attention_bias=True),
    'qwen3-moe-hub': case(QWEN3_MOE, dict(rope_theta=100.0), hub=True, rope_theta=1000000.0, rope_scaling=None, attention_bias=False,
                          decoder_sparse_step=1, mlp_only_layers=[], max_window_layers=2, use_sliding_window=False, sliding_window=None,
                          num_experts=8, num_experts_per_tok=3, hidden_act='silu', rms_norm_eps=1e-6),

    'qwen3-moe-coder-hub': case(QWEN3_MOE, dict(rope_theta=100.0), hub=True, rope_theta=10000000, rope_scaling=None, qkv_bias=False,
                                shared_expert_intermediate_size=0, use_qk_norm=True, sliding_window=None, use_sliding_window=False,
                                max_window_layers=2, mlp_only_layers=[], decoder_sparse_step=1),

    'granite-plain': case(GRANITE, dict(attention_multiplier=0.3)),
    'granite-hub': case(GRANITE, dict(residual_multiplier=1.0), hub=True, attention_bias=False, mlp_bias=False, rope_theta=10000.0,
                        rope_scaling=None, rms_norm_eps=1e-5, tie_word_embeddings=True),
    'granite-biases': case(GRANITE, dict(embedding_multiplier=1.0), attention_bias=True, mlp_bias=True),

    'smollm3-plain': case(SMOLLM3, dict(no_rope_layers=[1, 1, 1]), no_rope_layer_interval=2),
    'smollm3-no-rope-layers': case(SMOLLM3, dict(no_rope_layers=[1, 1, 1]), no_rope_layers=[0, 1, 0], tie_word_embeddings=True),
    'smollm3-window': case(SMOLLM3, dict(sliding_window=9), use_sliding_window=True, sliding_window=8, no_rope_layers=[1, 0, 1]),
    'smollm3-hub': case(SMOLLM3, dict(no_rope_layers=[1, 1, 1]), hub=True, rope_theta=5000000.0, rope_scaling=None,
                        no_rope_layers=[1, 1, 0], use_sliding_window=False, sliding_window=None, attention_bias=False, mlp_bias=False),
}
