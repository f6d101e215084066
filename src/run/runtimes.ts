import type { ModuleScheme } from '../modifiers/modifier.js';

/** A module that has a scheme. */
export interface Scheduled {
  /** Its class: Linear, Embedding, or that of attention. */
  readonly kind: string;
  readonly scheme: ModuleScheme;
}

/**
 * What loads which scheme: data for the plan's advice, never a reason to refuse. `checked` tells what we ran ourselves; the rest is from the
 * runtimes' sources and documentation, and changes with their releases.
 */
interface RuntimeRow {
  readonly runtime: string;
  readonly version: string;
  readonly checked: boolean;
  /** What goes on after the runtime's name, when it is known not to run such a module. */
  readonly without: (module: Scheduled) => string | undefined;
}

const RUNTIMES: readonly RuntimeRow[] = [
  { runtime: 'transformers', version: '5.18', checked: true, without: () => undefined },
  { runtime: 'vLLM', version: '0.21', checked: false, without: withoutKernelInVllm },
];

function withoutKernelInVllm({ kind, scheme }: Scheduled): string | undefined {
  const { weights, input_activations: inputs, output_activations: outputs, format, attention } = scheme;
  if (attention !== undefined) {
    const { type, num_bits, symmetric, strategy } = attention.cache;
    if (type !== 'float' || num_bits !== 8 || !symmetric)
      return 'keeps keys and values in fp8, by no other kv_cache_scheme';
    return strategy === 'attn_head' ? 'reads scales of a cache by head only where it runs FlashAttention 3' : undefined;
  }
  if (outputs !== null) return 'does not quantize outputs';
  if (weights === null) return undefined;
  const { num_bits, strategy, group_size, symmetric } = weights;
  const perTensorOrChannel = strategy === 'tensor' || strategy === 'channel';
  if (kind === 'Embedding') return 'reads quantized embeddings for few models only';
  switch (format) {
    case 'pack-quantized':
      if (num_bits !== 4 && num_bits !== 8) return `has kernels for packed weights of 4 and 8 bits, not of ${num_bits}`;
      if (strategy === 'channel') return undefined;
      if (strategy !== 'group') return `reads packed weights with scales by group or channel, not by ${strategy}`;
      return [32, 64, 128].includes(group_size ?? 0)
        ? undefined
        : `has kernels for groups of 32, 64 and 128, not of ${group_size}`;
    case 'int-quantized':
      if (num_bits !== 8 || inputs?.num_bits !== 8 || inputs.type !== 'int')
        return 'has kernels for int8 weights under int8 inputs in this format, for nothing else';
      return perTensorOrChannel && symmetric
        ? undefined
        : 'has int8 kernels for symmetric weights with scales by tensor or channel only';
    case 'float-quantized':
      return perTensorOrChannel || strategy === 'block'
        ? undefined
        : `reads fp8 weights with scales by tensor, channel or block, not by ${strategy}`;
    case 'naive-quantized':
      return perTensorOrChannel
        ? undefined
        : `reads fp8 weights without quantized inputs by tensor or channel, not by ${strategy}`;
    default:
      return undefined;
  }
}

export interface RuntimeAdvice {
  readonly runtime: string;
  readonly version: string;
  readonly checked: boolean;
  readonly loads: boolean;
  /** Goes on after the runtime's name: `has kernels for ...`. */
  readonly reason?: string;
}

/** Which runtimes load a model with these modules. */
export function runtimeAdvice(modules: readonly Scheduled[]): RuntimeAdvice[] {
  return RUNTIMES.map(({ runtime, version, checked, without }) => {
    const reason = modules.map(without).find(found => found !== undefined);
    return { runtime, version, checked, loads: reason === undefined, ...(reason !== undefined && { reason }) };
  });
}
