import { TensorpressError } from '../../errors.js';
import { printable } from '../../formats/printable.js';
import { isCount } from '../../formats/records.js';
import type { Activation } from './graph.js';
import type { Model } from './model.js';
import { checkUnread } from './unread.js';

export type LayerType = 'full_attention' | 'sliding_attention';

const LAYER_TYPES: readonly unknown[] = ['full_attention', 'sliding_attention'] satisfies LayerType[];

/** Names in config.json; those that transformers maps to one function are one here. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  gelu_python_tanh: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  relu: 'relu',
  relu2: 'relu2',
};

/**
 * A model's config.json and its tensors as a graph needs them. What is read is remembered, so that a field which changes the mathematics and
 * that nothing has read, or a tensor that no op reads, is an error instead of a wrong answer (`checkUnread`). Defaults are those of transformers.
 *
 * Every reader throws a TensorpressError MODEL, which names the field, when it holds something else than expected.
 */
export class Settings {
  /** The decoder's layers. */
  readonly layers: number;
  /** The head reads the embedding's tensor. */
  readonly tied: boolean;
  private readonly text: Model['config'];
  private readonly keys = new Set<string>();
  private readonly tensors = new Set<string>();

  constructor(private readonly model: Model) {
    this.text = model.config;
    this.layers = model.parts.filter(({ id }) => id.startsWith('layers.')).length;
    this.tied = model.tied;
  }

  /** The field as it is: undefined where it is absent. */
  raw(key: string): unknown {
    this.keys.add(key);
    return Object.hasOwn(this.text, key) ? this.text[key] : undefined;
  }

  /** `fallback` only where the field is absent: null is a value, and not one that every field may have. */
  private given(key: string, fallback: unknown): unknown {
    const value = this.raw(key);
    return value === undefined ? fallback : value;
  }

  number(key: string, fallback?: number): number {
    const value = this.given(key, fallback);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.wrong(key, value, 'a number');
  }

  /** A whole number above 0. */
  count(key: string, fallback?: number): number {
    const value = this.given(key, fallback);
    if (isCount(value) && value > 0) return value;
    throw this.wrong(key, value, 'a whole number above 0');
  }

  /** How many experts a layer has, by either of its names. */
  experts(fallback: number): number {
    const [one, other] = [this.raw('num_local_experts'), this.raw('num_experts')];
    const value = one ?? other ?? fallback;
    if (!isCount(value))
      throw this.wrong(one == null ? 'num_experts' : 'num_local_experts', value, 'a whole number, 0 or more');
    if (other != null && other !== value) throw this.wrong('num_experts', other, `what num_local_experts is, ${value}`);
    return value;
  }

  /** A whole number above 0, or null; `fallback` where the field is absent. */
  countOrNull(key: string, fallback: number | null): number | null {
    const value = this.raw(key);
    if (value === null || value === undefined) return value === undefined ? fallback : null;
    return this.count(key);
  }

  /** A number above 0, or null; `fallback` where the field is absent. */
  numberOrNull(key: string, fallback: number | null): number | null {
    const value = this.raw(key);
    if (value === null || value === undefined) return value === undefined ? fallback : null;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.wrong(key, value, 'a number above 0');
  }

  /** A field that some files repeat what is known with: where it is there, it has to say the same. */
  says(key: string, known: unknown): void {
    const value = this.raw(key);
    if (value != null && value !== known) throw this.wrong(key, value, JSON.stringify(known));
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.given(key, fallback);
    if (typeof value === 'boolean') return value;
    throw this.wrong(key, value, 'true or false');
  }

  activation(key: string, fallback: string): Activation {
    const value = this.given(key, fallback);
    if (typeof value === 'string' && Object.hasOwn(ACTIVATIONS, value)) return ACTIVATIONS[value]!;
    throw this.wrong(key, value, `one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  }

  /** What each layer's attention sees: `layer_types`, else what the family does. */
  layerTypes(otherwise: (layer: number) => LayerType): LayerType[] {
    const given = this.raw('layer_types');
    if (given == null) return Array.from({ length: this.layers }, (_, layer) => otherwise(layer));
    const right =
      Array.isArray(given) && given.length === this.layers && given.every(type => LAYER_TYPES.includes(type));
    if (!right) throw this.wrong('layer_types', given, `${LAYER_TYPES.join(' or ')} for each of ${this.layers} layers`);
    return given as LayerType[];
  }

  /** The window of each layer, null where attention sees everything before; `window` belongs to those of type sliding_attention. */
  windows(window: number | null, otherwise: (layer: number) => LayerType): (number | null)[] {
    return this.layerTypes(otherwise).map(type => {
      if (type === 'full_attention') return null;
      if (window === null) throw this.wrong('layer_types', type, 'full_attention where sliding_window is not used');
      return window;
    });
  }

  /** `sliding_window` where `use_sliding_window` asks for it, else null. */
  slidingWindow(fallback: number | null): number | null {
    const used = this.flag('use_sliding_window', false);
    const given = this.countOrNull('sliding_window', fallback);
    return used ? given : null;
  }

  /** One window for all layers; `layer_types`, which the family does not read, has to say the same. */
  window(window: number | null): number | null {
    const type: LayerType = window === null ? 'full_attention' : 'sliding_attention';
    const other = this.layerTypes(() => type).find(given => given !== type);
    if (other !== undefined)
      throw this.wrong('layer_types', other, `${type} in every layer of ${this.model.architecture}`);
    return window;
  }

  /**
   * Notes that an op reads a tensor.
   * @throws TensorpressError MODEL naming the tensor, when the weights lack it or its shape is another
   */
  tensor(name: string, shape: readonly number[]): void {
    this.tensors.add(name);
    const found = this.model.source.tensors.get(name)?.shape;
    // codes that are packed have a shape of their own
    if (found === undefined && this.model.quantized && this.model.source.tensors.has(`${name}_packed`)) return;
    if (found?.join() === shape.join()) return;
    const fused = found === undefined ? this.fusedExperts(name) : undefined;
    if (fused !== undefined) {
      throw new TensorpressError(
        'MODEL',
        `${printable(fused, 200)} holds all experts of a layer in one tensor, which cannot be run`,
        {
          place: { tensor: fused },
          hint: 'save the model with one tensor per matrix of an expert, as transformers does',
        },
      );
    }
    const message =
      found === undefined
        ? `the weights lack ${printable(name, 200)}`
        : `${printable(name, 200)} has the shape [${found.join(', ')}], but config.json asks for [${shape.join(', ')}]`;
    throw new TensorpressError('MODEL', message, {
      place: { tensor: name },
      hint: 'download the model again, or correct its config.json',
    });
  }

  /** Whether the weights hold any tensor of a module. */
  holds(module: string): boolean {
    return [...this.model.source.tensors.keys()].some(name => name.startsWith(`${module}.`));
  }

  /** A tensor that holds all experts of the layer in which a tensor of one of them is missing. */
  private fusedExperts(name: string): string | undefined {
    const [experts] = /^.*\.experts\.(?=\d)/.exec(name) ?? [];
    if (experts === undefined) return undefined;
    const tensors = [...this.model.source.tensors.values()];
    return tensors.find(({ name, shape }) => name.startsWith(experts) && shape.length > 2)?.name;
  }

  /** @throws TensorpressError MODEL naming the first field or tensor that would change the result but that nothing has read */
  checkUnread(): void {
    checkUnread(this.model, { keys: this.keys, tensors: this.tensors });
  }

  wrong(key: string, value: unknown, expected: string): TensorpressError {
    const shown = JSON.stringify(value) as string | undefined;
    return new TensorpressError('MODEL', `${key} is ${printable(shown ?? 'missing', 60)}, expected ${expected}`, {
      place: { file: 'config.json' },
      hint: 'compare config.json with that of the original model',
    });
  }
}
