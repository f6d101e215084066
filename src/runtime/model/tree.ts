/**
 * A module as an architecture file declares it: its classes (base class `Module` left out), its children in declaration order, and the
 * tensors of its own that a checkpoint holds.
 */
export interface Node {
  readonly classes: readonly string[];
  readonly children: Readonly<Record<string, Node>>;
  readonly tensors: readonly string[];
}

/** A container, or anything without tensors of its own. */
export function module(classes: string | readonly string[], children: Readonly<Record<string, Node>> = {}): Node {
  return { classes: typeof classes === 'string' ? [classes] : classes, children, tensors: [] };
}

/** A torch.nn.ModuleList. */
function list(length: number, item: (index: number) => Node, classes: readonly string[] = ['ModuleList']): Node {
  return module(classes, Object.fromEntries(Array.from({ length }, (_, i) => [String(i), item(i)])));
}

/** y = x Wᵀ + b, W[out, in]. */
export function linear(bias = false): Node {
  return { classes: ['Linear'], children: {}, tensors: bias ? ['weight', 'bias'] : ['weight'] };
}

/** A lookup table [tokens, width]. A subclass (Gemma scales its rows) is not quantizable: only exactly Embedding and Linear are. */
export function embedding(subclass?: string): Node {
  return {
    classes: subclass === undefined ? ['Embedding'] : [subclass, 'Embedding'],
    children: {},
    tensors: ['weight'],
  };
}

/** A norm, or another class that owns one weight which is never quantized (a router). */
export function weighted(name: string): Node {
  return { classes: [name], children: {}, tensors: ['weight'] };
}

const ACTIVATIONS: Readonly<Record<string, string>> = {
  silu: 'SiLUActivation',
  swish: 'SiLU',
  gelu: 'GELUActivation',
  gelu_new: 'NewGELUActivation',
  gelu_fast: 'FastGELUActivation',
  gelu_pytorch_tanh: 'GELUTanh',
  quick_gelu: 'QuickGELUActivation',
  relu: 'ReLU',
  relu2: 'ReLUSquaredActivation',
};

/** The module that transformers makes for the name in `hidden_act`. */
export function activation(name: unknown, fallback: string): Node {
  const known = ACTIVATIONS[typeof name === 'string' ? name : fallback];
  return module(known === undefined ? [] : [known]);
}

/**
 * The tree that Hugging Face decoders share: `model` (embedding, layers, final norm, rope) and `lm_head`.
 * @param layer children of decoder layer `index`
 */
export function decoder(
  family: string,
  layers: number,
  layer: (index: number) => Readonly<Record<string, Node>>,
  { body = `${family}Model`, embed = embedding() }: { body?: string; embed?: Node } = {},
): Node {
  const base = [`${family}PreTrainedModel`, 'PreTrainedModel'];
  return module([`${family}ForCausalLM`, ...base], {
    model: module([body, ...base], {
      embed_tokens: embed,
      layers: list(layers, i => module([`${family}DecoderLayer`, 'GradientCheckpointingLayer'], layer(i))),
      norm: weighted(`${family}RMSNorm`),
      rotary_emb: module(`${family}RotaryEmbedding`),
    }),
    lm_head: linear(),
  });
}

/** q, k, v, o of a family, and what else stands beside them. */
export function attentionModule(
  family: string,
  { qkv = false, o = qkv }: { readonly qkv?: boolean; readonly o?: boolean } = {},
  more: Readonly<Record<string, Node>> = {},
): Node {
  return module(`${family}Attention`, {
    q_proj: linear(qkv),
    k_proj: linear(qkv),
    v_proj: linear(qkv),
    o_proj: linear(o),
    ...more,
  });
}

/** gate, up, down of a family. */
export function mlpModule(family: string, act: Node, bias = false): Node {
  return module(`${family}MLP`, {
    gate_proj: linear(bias),
    up_proj: linear(bias),
    down_proj: linear(bias),
    act_fn: act,
  });
}

/** Norms of a family by these names, in this order. */
export function norms(family: string, ...names: readonly string[]): Record<string, Node> {
  return Object.fromEntries(names.map(name => [name, weighted(`${family}RMSNorm`)]));
}

/** The two norms of most layers. */
export const preNorms = (family: string) => norms(family, 'input_layernorm', 'post_attention_layernorm');

/** Experts as separate Linears, under the names that checkpoints give them and the classes that llm-compressor gives them. */
export function experts(count: number, children: Readonly<Record<string, Node>>, act: Node): Node {
  const { children: items, ...rest } = list(count, () => module(['ExpertMLPWithGate', 'ExpertMLP'], children), [
    'LinearExperts2D',
    'ModuleList',
  ]);
  return { ...rest, children: { ...items, act_fn: act } };
}
