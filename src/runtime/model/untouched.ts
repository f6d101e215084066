import type { TensorInfo } from '../../formats/source.js';
import { outsideAt, type Kind } from './infer.js';

const LABELS = {
  outside: ['tensor outside the language model', 'tensors outside the language model'],
  beyond: ['tensor of a layer beyond num_hidden_layers', 'tensors of layers beyond num_hidden_layers'],
  experts: ['fused expert stack', 'fused expert stacks'],
  convolution: ['convolution', 'convolutions'],
  transposed: ['transposed weight (Conv1D)', 'transposed weights (Conv1D)'],
  position: ['position embedding', 'position embeddings'],
  dimensions: ['weight that has not two dimensions', 'weights that have not two dimensions'],
  dtype: ['weight that is neither F32, F16 nor BF16', 'weights that are neither F32, F16 nor BF16'],
  buffer: ['buffer', 'buffers'],
  parameter: ['parameter that is no weight', 'parameters that are no weights'],
} as const;

/** Why a tensor is written as it is, whatever a recipe says. */
export type Reason = keyof typeof LABELS;

const BUFFER = /inv_freq|masked_bias|rotary|freqs_|_buffer$/;

/**
 * Why a tensor of the language model passes through untouched; undefined for what a scheme may take and for what nobody expects to be
 * quantized (norms, biases, routers).
 * @param leaf the tensor's name inside its module
 */
export function reasonOf(
  leaf: string,
  { name, shape, dtype }: TensorInfo,
  { kind, takesScheme, quantizable }: { kind: Kind | undefined; takesScheme: boolean; quantizable: boolean },
): Reason | undefined {
  if (quantizable && leaf === 'weight') return undefined;
  if (leaf === 'weight') {
    if (kind === 'convolution' || kind === 'transposed' || kind === 'position') return kind;
    if (kind === 'other' && shape.length >= 3) return /expert|moe/i.test(name) ? 'experts' : 'dimensions';
    if (!takesScheme) return undefined;
    return shape.length === 2 ? 'dtype' : 'dimensions';
  }
  if (leaf === 'bias' && shape.length === 1) return undefined;
  if (BUFFER.test(name) || !/^B?F\d+$/.test(dtype)) return 'buffer';
  if (shape.length < 2) return undefined;
  return /expert/i.test(name) ? 'experts' : 'parameter';
}

/** `a.*.q, a.*.k and 2 more`: names with their numbers taken out, each once. */
export function patterns(names: Iterable<string>): string {
  const all = [...new Set([...names].map(pattern))];
  return all.slice(0, 3).join(', ') + (all.length > 3 ? ` and ${all.length - 3} more` : '');
}

const pattern = (name: string) => name.replace(/(?<=^|\.)\d+(?=\.|$)/g, '*');

/** Collects tensors that pass through untouched; one sentence for each reason. */
export class Untouched {
  readonly #found = new Map<Reason, { count: number; patterns: Set<string> }>();

  add(reason: Reason, name: string): void {
    const found = this.#found.get(reason) ?? { count: 0, patterns: new Set<string>() };
    found.count++;
    found.patterns.add(reason === 'outside' ? towerOf(name) : pattern(name));
    this.#found.set(reason, found);
  }

  sentences(): string[] {
    return [...this.#found].map(([reason, { count, patterns: names }]) => {
      const [one, many] = LABELS[reason];
      return count === 1
        ? `1 ${one} (${patterns(names)}) passes through untouched`
        : `${count} ${many} (${patterns(names)}) pass through untouched`;
    });
  }
}

/** `model.visual.blocks.0.attn.qkv.weight` -> `model.visual.*`, `encoder.block.0.weight` -> `encoder.block.*` */
function towerOf(name: string): string {
  const path = name.split('.');
  const at = outsideAt(path);
  const end = at >= 0 ? at + 1 : path.findIndex(segment => /^\d+$/.test(segment));
  return end < 0 || end >= path.length ? name : [...path.slice(0, end), '*'].join('.');
}
