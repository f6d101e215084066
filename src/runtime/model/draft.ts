import type { Graph, Op, Value } from './graph.js';
import type { Settings } from './settings.js';

export interface LinearOptions {
  /** Name of the value, where it is another than the module's. */
  readonly out?: Value;
  /** Whether there is a bias. Default: false. */
  readonly bias?: boolean;
}

/** The norm of a family: x / sqrt(mean x² + eps) (offset + w). */
export interface Norm {
  readonly eps: number;
  readonly offset: 0 | 1;
}

/** A graph while it is written down, op by op. Each method returns the value that it adds. */
export class Draft {
  private readonly ops: Op[] = [];
  private readonly weights = new Set<Value>();
  private readonly ropes = new Set<string>();
  private readonly aliases: Record<Value, Value> = {};

  /** @param prefix put before the name of a weight it gives the tensor: `model.layers.3.` */
  constructor(
    readonly settings: Settings,
    private readonly prefix = '',
  ) {}

  op(op: Op): Value {
    this.ops.push(op);
    return op.out;
  }

  /** A tensor of the part, which has to have this shape. */
  weight(name: Value, shape: readonly number[]): Value {
    this.settings.tensor(`${this.prefix}${name}`, shape);
    this.weights.add(name);
    return name;
  }

  /** A tensor of an expert, which its op names. */
  expert(name: Value, shape: readonly number[]): void {
    this.settings.tensor(`${this.prefix}${name}`, shape);
  }

  /** The Linear `module`, W[rows, columns]. */
  linear(
    x: Value,
    module: string,
    shape: readonly [number, number],
    { out = module, bias = false }: LinearOptions = {},
  ): Value {
    this.alias(module, out);
    const weight = this.weight(`${module}.weight`, shape);
    const more = bias ? { bias: this.weight(`${module}.bias`, shape.slice(0, 1)) } : {};
    return this.op({ op: 'linear', in: { x, weight, ...more }, out, with: {} });
  }

  /** The norm `module` over each `size` elements. */
  norm(x: Value, module: string, size: number, norm: Norm, out = module): Value {
    this.alias(module, out);
    const weight = this.weight(`${module}.weight`, [size]);
    return this.op({ op: 'rms_norm', in: { x, weight }, out, with: { ...norm, size } });
  }

  /** @param table key of `Decoder.ropes` */
  rope(x: Value, table: string, headDim: number, out: Value): Value {
    this.ropes.add(table);
    return this.op({ op: 'rope', in: { x, cos: `${table}.cos`, sin: `${table}.sin` }, out, with: { headDim } });
  }

  /** factor x, which is x itself where the factor is 1. */
  scale(x: Value, factor: number, out: Value): Value {
    return factor === 1 ? x : this.op({ op: 'scale', in: { x }, out, with: { factor } });
  }

  /** Lets a value be found by another name. */
  alias(name: Value, value: Value): void {
    if (name !== value) this.aliases[name] = value;
  }

  /** The graph, whose last value is named `output`. */
  finish(): Graph {
    const last = this.ops.pop()!;
    this.alias(last.out, 'output');
    for (const [name, value] of Object.entries(this.aliases)) if (value === last.out) this.aliases[name] = 'output';
    return {
      ops: [...this.ops, { ...last, out: 'output' }],
      prefix: this.prefix,
      weights: [...this.weights],
      ropes: [...this.ropes],
      aliases: this.aliases,
    };
  }
}
