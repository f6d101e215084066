/** What a tensor called `<path>.weight` is the weight of. */
export type Kind = 'linear' | 'embedding' | 'position' | 'norm' | 'router' | 'convolution' | 'transposed' | 'other';

/** Towers and projectors that are not the language model, and heads that predict more than one token: nobody quantizes them unasked. */
const OUTSIDE =
  /^(vision|visual|vit$|image|img|video|audio|speech|multi_?modal|mm_|embed_(vision|audio)|connector|perceiver|resampler|aligner|qformer|vqmodel|mtp)/i;
const NORM = /(^|_)((layer|rms)?norms?|ln)\d*(_|$)|norm\d*$/i;
const ROUTER = /^(gate|gating|wg|shared_expert_gate)$|router/i;
const CONVOLUTION = /(^|_)conv(olution)?(\dd)?(_|$)/i;
const EMBEDDING = /(^|_)(embed|embd|emb|wte|wpe)|embeddings?$|^shared$/i;
const NOT_EMBEDDING = /proj|mapping|linear|dense|(^|_)(out|head|fc)(_|$)/i;
const POSITION = /position|(^|_)pos(_|$)|wpe/i;
const HEAD = /^(lm_head|output|embed_out|head)$/;

/** GPT-2 and its kin store W[in, out] in a class of their own, which no reader of quantized checkpoints knows. */
const TRANSPOSING = /^(GPT2|OpenAIGPT|ImageGPT|DecisionTransformerGPT2)/;
const TRANSPOSED = /^(c_attn|c_fc|c_proj|q_attn)$/;

/** Index of the segment of a module's path from which on it is no part of the language model, -1 for the language model. */
export function outsideAt(path: readonly string[]): number {
  return path.findIndex(segment => OUTSIDE.test(segment));
}

/** Whether a module of this name, outside of any layer, turns hidden states into logits. */
export function isHead(segment: string): boolean {
  return HEAD.test(segment);
}

/**
 * The rule for modules of which nothing is known but their name and their weight's shape: two dimensions are a Linear, unless the name says
 * embedding, norm, router or convolution.
 */
export function kindOf(path: readonly string[], shape: readonly number[], architecture: string): Kind {
  const named = path.filter(segment => !/^\d+$/.test(segment));
  const last = named.at(-1) ?? '';
  if (CONVOLUTION.test(last)) return 'convolution';
  if (NORM.test(last)) return 'norm';
  if (shape.length !== 2) return 'other';
  if (ROUTER.test(last) || /^(gate|router)$/.test(named.at(-2) ?? '')) return 'router';
  if (EMBEDDING.test(last) && !NOT_EMBEDDING.test(last)) return POSITION.test(last) ? 'position' : 'embedding';
  return TRANSPOSING.test(architecture) && TRANSPOSED.test(last) ? 'transposed' : 'linear';
}

/** The class of a module that is known to be quantized, by its name alone. */
export function inferClass(module: string): 'Linear' | 'Embedding' {
  const kind = kindOf(module.split('.'), [1, 1], '');
  return kind === 'embedding' || kind === 'position' ? 'Embedding' : 'Linear';
}

/** `Qwen3` of `Qwen3ForCausalLM`. */
export function familyOf(architecture: string): string {
  return architecture.replace(/(For[A-Z]\w*|(LMHead)?Model)$/, '') || architecture;
}

/** The class names, base classes after them, that a module of this kind has in transformers as a rule. */
export function classesOf(
  kind: Kind,
  family: string,
  { dimensions, bias }: { dimensions: number; bias: boolean },
): string[] {
  switch (kind) {
    case 'linear':
      return ['Linear'];
    case 'embedding':
    case 'position':
      return ['Embedding'];
    case 'norm':
      return [bias ? 'LayerNorm' : `${family}RMSNorm`];
    case 'router':
      return [`${family}TopKRouter`];
    case 'convolution':
      return dimensions >= 3 && dimensions <= 5 ? [`Conv${dimensions - 2}d`] : [];
    case 'transposed':
      return ['Conv1D'];
    case 'other':
      return [];
  }
}

/** The same for a module that only holds others. */
export function containerClasses(segment: string, family: string, children: readonly string[]): string[] {
  if (children.length > 0 && children.every(name => /^\d+$/.test(name))) return ['ModuleList'];
  if (/attn|attention/i.test(segment)) return [`${family}Attention`];
  if (/^(mlp|ffn|feed_forward)$/.test(segment)) return [`${family}MLP`];
  return [];
}

/**
 * The order in which decoders declare their modules, which files (sorted by name) have forgotten: embedding, layers, norm, head; attention
 * before MLP before norms; q, k, v before the way out; gate, up, down. What matches neither list stands between them.
 */
const FIRST: readonly RegExp[] = [
  OUTSIDE,
  /^(?!.*(norm|position|wpe)).*(embed|^emb$|wte)(?!_out)/i,
  /position|wpe|project_in|emb\w*norm/i,
  /^(self_|linear_)?(attn|attention)$|mixer|mamba|ssm|temporal|^conv$/i,
  /^(?!.*norm).*(attn|attention)/i,
  /^(?!.*norm).*(mlp|ffn|feed_forward|moe)/i,
  /^(router|gate|gating|wg)$/,
  /^experts?$/,
  /^shared_experts?$/,
  /^q_a|^wq_a/,
  /^q_b|^wq_b/,
  /^(w_?q|q(_?proj)?|query)$/i,
  /^kv_a|^wkv_a/,
  /^kv_b|^wkv_b/,
  /^(w_?k|k(_?proj)?|key)$/i,
  /^(w_?v|v(_?proj)?|value)$/i,
  /qkv|query_key_value|c_attn|^in_proj/i,
  /^x_proj/,
  /^gate/,
  /^(up|fc1|fc_in|c_fc|dense_h_to_4h)/,
];
const LAST: readonly RegExp[] = [
  /^(down|fc2|fc_out|c_proj|dense_4h_to_h|w_?o$|o_?proj|out_proj|dense$)/i,
  /norm|(^|_)ln(_|\d|$)/i,
  /project_out|rotary/,
  HEAD,
];

function rank(segment: string): number {
  if (/^\d+$/.test(segment)) return FIRST.length;
  const first = FIRST.findIndex(pattern => pattern.test(segment));
  if (first >= 0) return first;
  const last = LAST.findIndex(pattern => pattern.test(segment));
  return last < 0 ? FIRST.length : FIRST.length + 1 + last;
}

/** Siblings in declaration order, those of the same rank by name, numbers by value. */
export function inDeclarationOrder<T>(siblings: readonly T[], name: (sibling: T) => string): T[] {
  return siblings
    .map(sibling => ({ sibling, rank: rank(name(sibling)), pieces: name(sibling).match(/\d+|\D+/g) ?? [] }))
    .sort((a, b) => a.rank - b.rank || natural(a.pieces, b.pieces))
    .map(({ sibling }) => sibling);
}

function natural(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (x === y) continue;
    if (/^\d/.test(x) && /^\d/.test(y)) return x.length - y.length || (x < y ? -1 : 1);
    return x < y ? -1 : 1;
  }
  return a.length - b.length;
}
