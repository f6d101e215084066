import { TensorpressError } from '../../errors.js';
import { printable } from '../../formats/printable.js';
import { isRecord } from '../../formats/records.js';
import type { Model } from './model.js';

/** Words in the names of fields that say how a model computes. */
const MATHEMATICAL = new RegExp(
  [
    ...['attn', 'attention', 'head', 'norm', 'rope', 'rotary', 'theta', 'freq', 'position', 'window', 'layer', 'bias'],
    ...[
      'scal',
      'cap',
      'clip',
      'multiplier',
      'factor',
      'expert',
      'moe',
      'rout',
      'spars',
      'gat',
      'act',
      'glu',
      'causal',
      'direction',
    ],
    ...[
      'chunk',
      'sink',
      'parallel',
      'mlp',
      'ffn',
      'resid',
      'alibi',
      'softmax',
      'altup',
      'laurel',
      'embed',
      'mamba',
      'ssm',
      'conv',
    ],
    ...[
      'hidden',
      'intermediate',
      'kv_',
      'q_',
      'k_',
      'v_',
      'qk',
      'logit',
      'loop',
      'text_config',
      'lora',
      'mask',
      'share',
    ],
  ].join('|'),
);

/** Fields with such words that say how a model is trained, stored or used, and not what it computes. */
const HARMLESS =
  /^_|dropout|pdrop|^attn_implementation$|flash_att|^(hidden_size|num_hidden_layers|max_position_embeddings)$|^tie_|^output_(attentions|hidden_states|router_logits)$|aux_loss|jitter|^task_specific|^max_window_layers$|activation_checkpoint|gradient|transformers|^embedding_size$/;

/** Flags for what every decoder here does. */
const ALWAYS_ON = /^(is_)?causal|^(use|apply)_(rope|rotary)/;

/** Values, besides null, false, nothing and an empty list, with which a field changes nothing. */
const NEUTRAL: readonly (readonly [RegExp, unknown])[] = [
  [/^position_embedding_type$/, 'rope'],
  [/multiplier|factor|scal(e|ing)$|^full_attn_mod$/, 1],
  [/experts|shared|nextn|sink|chunk_size|^first_k_dense_replace$/, 0],
];

/**
 * Whether anything would change the result of a model that no one has read.
 * @param read names of the fields of config.json and of the tensors that have been read
 * @throws TensorpressError MODEL naming the first
 */
export function checkUnread(
  { architecture, config, parts, quantized }: Model,
  read: { readonly keys: ReadonlySet<string>; readonly tensors: ReadonlySet<string> },
): void {
  for (const [key, value] of Object.entries(config)) {
    if (read.keys.has(key) || !MATHEMATICAL.test(key) || HARMLESS.test(key) || isNeutral(key, value)) continue;
    throw refused(
      `${architecture} cannot be run with ${printable(key, 60)} ${printable(JSON.stringify(value), 60)}`,
      { file: 'config.json' },
      'remove the field from config.json if the model was trained without it',
    );
  }
  for (const { id, tensors } of parts) {
    if (id === 'other') continue;
    const found = tensors.find(tensor => !read.tensors.has(tensor) && changesResult(tensor, quantized));
    if (found === undefined) continue;
    throw refused(
      `${architecture} has no tensor ${printable(found, 200)}, so the model cannot be run`,
      { tensor: found },
      'correct config.json, where flags such as attention_bias tell of tensors, or the architecture it names',
    );
  }
}

function isNeutral(key: string, value: unknown): boolean {
  if (ALWAYS_ON.test(key)) return value === true;
  if (value == null || value === false) return true;
  if (Array.isArray(value) && value.length === 0) return true;
  if (isRecord(value) && Object.keys(value).length === 0) return true;
  if (key === 'layer_types' && Array.isArray(value)) return value.every(type => type === 'full_attention');
  return NEUTRAL.some(([keys, neutral]) => neutral === value && keys.test(key));
}

/** Old checkpoints hold the frequencies of rope; compressed ones hold parameters beside each weight. */
function changesResult(tensor: string, quantized: boolean): boolean {
  return quantized ? tensor.endsWith('.bias') : !tensor.endsWith('rotary_emb.inv_freq');
}

function refused(message: string, place: TensorpressError['place'], hint: string): TensorpressError {
  return new TensorpressError('MODEL', message, { place, hint });
}
