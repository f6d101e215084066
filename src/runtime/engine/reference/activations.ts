import type { Activation } from '../../model/graph.js';
import { erfc } from './erf.js';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The functions between gate and up. */
export const ACTIVATIONS: Readonly<Record<Activation, (x: number) => number>> = {
  silu: x => x * sigmoid(x),
  /** x Φ(x), Φ the normal distribution */
  gelu: x => (x / 2) * erfc(-x / Math.SQRT2),
  gelu_tanh: x => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick_gelu: x => x * sigmoid(1.702 * x),
  relu: x => Math.max(x, 0),
  relu2: x => Math.max(x, 0) ** 2,
};
