import {
  encodeOnnx,
  MICROSOFT,
  ONNX_TYPES,
  type OnnxAttribute,
  type OnnxConstant,
  type OnnxNode,
  type OnnxType,
  type OnnxValue,
} from '../../../formats/onnx.js';
import type { Device } from '../engine.js';

/** A dimension; undefined where it may differ from run to run. */
export type Dim = number | undefined;

/** A value of an ONNX graph. */
export interface Wire {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly Dim[];
}

/** Attributes of a node. */
export const int = (value: number): OnnxAttribute => ({ int: value });
export const float = (value: number): OnnxAttribute => ({ float: value });
const ints = (...values: number[]): OnnxAttribute => ({ ints: values });

/** Adding and subtracting it rounds a float32 of magnitude below 2^22 to the nearest integer, ties to even. */
const ROUND = 1.5 * 2 ** 23;

/**
 * Collects an ONNX graph node by node, and knows the shape of every value. onnxruntime's WebGPU provider has no kernel for some operators;
 * for them it gets others, so that no array goes back to the host in the middle of a graph.
 */
export class Builder {
  readonly #nodes: OnnxNode[] = [];
  readonly #inputs: OnnxValue[] = [];
  readonly #constants = new Map<string, OnnxConstant>();
  #names = 0;

  constructor(private readonly device: Device = 'cpu') {}

  input(name: string, type: OnnxType, shape: readonly Dim[]): Wire {
    this.#inputs.push({ name, type, shape: named(name, shape) });
    return { name, type, shape };
  }

  /** A node with one output. */
  node(
    op: string,
    inputs: readonly (Wire | undefined)[],
    shape: readonly Dim[],
    { attributes = {}, type = 'float32' }: { attributes?: Record<string, OnnxAttribute>; type?: OnnxType } = {},
  ): Wire {
    return this.nodes(op, inputs, [{ shape, type }], attributes)[0]!;
  }

  /** A node with one wire for each of `outputs`. `microsoft.X` is an operator of onnxruntime itself. */
  nodes(
    op: string,
    inputs: readonly (Wire | undefined)[],
    outputs: readonly Omit<Wire, 'name'>[],
    attributes: Record<string, OnnxAttribute> = {},
  ): Wire[] {
    const own = op.startsWith('microsoft.');
    const wires = outputs.map(output => ({ ...output, name: `#${this.#names++}` }));
    this.#nodes.push({
      op: own ? op.slice('microsoft.'.length) : op,
      ...(own && { domain: MICROSOFT }),
      inputs: inputs.map(wire => wire?.name ?? ''),
      outputs: wires.map(wire => wire.name),
      attributes,
    });
    return wires;
  }

  /** The float32 number, as a scalar. */
  number(value: number): Wire {
    return this.#constant('float32', [], Float32Array.of(value), Object.is(value, -0) ? '-0' : String(value));
  }

  /** The int32 number, as a scalar. */
  int32(value: number): Wire {
    return this.#constant('int32', [], Int32Array.of(value), String(value));
  }

  /** A list of int64: a shape, axes, bounds. */
  list(...values: number[]): Wire {
    return this.#constant('int64', [values.length], BigInt64Array.from(values, BigInt), values.join());
  }

  /** a op b, elementwise with broadcasting; numbers are constants of the type of the other side. */
  binary(op: string, a: Wire | number, b: Wire | number, type?: OnnxType): Wire {
    const other = typeof a === 'number' ? (b as Wire) : a;
    const constant = (value: number): Wire => (other.type === 'int32' ? this.int32(value) : this.number(value));
    const [left, right] = [a, b].map(side => (typeof side === 'number' ? constant(side) : side)) as [Wire, Wire];
    return this.node(op, [left, right], broadcast(left.shape, right.shape), { type: type ?? other.type });
  }

  unary(op: string, x: Wire, attributes: Record<string, OnnxAttribute> = {}): Wire {
    return this.node(op, [x], x.shape, { attributes, type: x.type });
  }

  cast(x: Wire, type: OnnxType): Wire {
    return x.type === type ? x : this.node('Cast', [x], x.shape, { attributes: { to: int(ONNX_TYPES[type]) }, type });
  }

  /** At most one dimension is -1: what is left of the elements. */
  reshape(x: Wire, ...shape: number[]): Wire {
    const size = x.shape.every(dim => dim !== undefined) ? product(x.shape as number[]) : undefined;
    const others = product(shape.filter(dim => dim !== -1));
    const known = shape.map(dim => (dim === -1 ? (size === undefined ? undefined : size / others) : dim));
    if (sameShape(known, x.shape)) return x;
    return this.node('Reshape', [x, this.list(...shape)], known, { type: x.type });
  }

  transpose(x: Wire, ...order: number[]): Wire {
    const shape = order.map(axis => x.shape[axis]);
    return this.node('Transpose', [x], shape, { attributes: { perm: ints(...order) }, type: x.type });
  }

  /** [from, to) along an axis; negative bounds count from the end, and Infinity is the end. */
  slice(x: Wire, axis: number, from: number, to: number): Wire {
    const size = x.shape[axis];
    if (from === 0 && (to === Infinity || to === size)) return x;
    const resolve = (bound: number): number => Math.min(Math.max(bound < 0 ? size! + bound : bound, 0), size!);
    const shape = x.shape.map((dim, i) =>
      i !== axis ? dim : size === undefined ? undefined : resolve(to) - resolve(from),
    );
    const end = to === Infinity ? Number.MAX_SAFE_INTEGER : to;
    return this.node('Slice', [x, this.list(from), this.list(end), this.list(axis)], shape, { type: x.type });
  }

  concat(axis: number, ...wires: Wire[]): Wire {
    const [first] = wires;
    if (wires.length === 1) return first!;
    const sum = wires.reduce<Dim>((total, { shape }) => addDims(total, shape[axis]), 0);
    const shape = first!.shape.map((dim, i) => (i === axis ? sum : dim));
    return this.node('Concat', wires, shape, { attributes: { axis: int(axis) }, type: first!.type });
  }

  /** Over one axis, by default the last, which stays with size 1. */
  reduce(op: 'ReduceMax' | 'ReduceMin' | 'ReduceSum', x: Wire, axis = -1): Wire {
    return this.node(op, [x, this.list(axis)], x.shape.with(axis, 1), { type: x.type });
  }

  /** condition ? a : b */
  where(condition: Wire, a: Wire | number, b: Wire | number): Wire {
    const [left, right] = [a, b].map(side => (typeof side === 'number' ? this.number(side) : side)) as [Wire, Wire];
    const shape = broadcast(broadcast(condition.shape, left.shape), right.shape);
    return this.node('Where', [condition, left, right], shape, { type: left.type });
  }

  /** Nearest integers, ties to even; |x| < 2^22. On webgpu -0 becomes 0. */
  round(x: Wire): Wire {
    if (this.device !== 'webgpu') return this.unary('Round', x);
    return this.binary('Sub', this.binary('Add', x, ROUND), ROUND);
  }

  /** factor a cᵀ of the last two axes: [B, H, n, D], [B, H, K, D] -> [B, H, n, K] */
  products(a: Wire, c: Wire, factor: number): Wire {
    const shape = [...a.shape.slice(0, -1), c.shape.at(-2)];
    if (this.device === 'webgpu')
      return this.node('MatMul', [this.binary('Mul', a, factor), this.transpose(c, 0, 1, 3, 2)], shape);
    const attributes = { alpha: float(factor), transB: int(1) };
    return this.node('microsoft.FusedMatMul', [a, c], shape, { attributes });
  }

  /** The model with these outputs. */
  encode(outputs: Readonly<Record<string, Wire>>): Uint8Array {
    const computed = new Set(this.#nodes.flatMap(node => node.outputs));
    const names = new Map<string, string>();
    const copies: OnnxNode[] = [];
    for (const [name, wire] of Object.entries(outputs)) {
      if (computed.has(wire.name) && !names.has(wire.name)) names.set(wire.name, name);
      else copies.push({ op: 'Identity', inputs: [wire.name], outputs: [name], attributes: {} });
    }
    const rename = (name: string): string => names.get(name) ?? name;
    return encodeOnnx({
      nodes: [...this.#nodes, ...copies].map(node => ({
        ...node,
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      })),
      inputs: this.#inputs,
      outputs: Object.entries(outputs).map(([name, { type, shape }]) => ({ name, type, shape: named(name, shape) })),
      constants: [...this.#constants.values()],
    });
  }

  #constant(type: OnnxType, shape: number[], values: ArrayBufferView, key: string): Wire {
    const name = `${type}[${shape.join()}]:${key}`;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (!this.#constants.has(name)) this.#constants.set(name, { name, type, shape, bytes });
    return { name, type, shape };
  }
}

function named(name: string, shape: readonly Dim[]): (number | string)[] {
  return shape.map((dim, axis) => dim ?? `${name}:${axis}`);
}

function broadcast(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a, b].map(shape => (i < rank - shape.length ? 1 : shape[i - rank + shape.length]));
    return x === 1 ? y : y === 1 ? x : (x ?? y);
  });
}

function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim !== undefined && dim === b[i]);
}

function addDims(a: Dim, b: Dim): Dim {
  return a === undefined || b === undefined ? undefined : a + b;
}

function product(values: readonly number[]): number {
  return values.reduce((result, value) => result * value, 1);
}
