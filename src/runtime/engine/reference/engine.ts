import { TensorpressError } from '../../../errors.js';
import type { Op, OpName, Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import type { Engine, HostArray, Program, Tensor } from '../engine.js';
import type { Definition, Floats } from './array.js';
import { attention } from './attention.js';
import { add, gated, rms_norm, rope, scale, softcap } from './elementwise.js';
import { fake_quantize } from './fake-quantize.js';
import { gather, linear, transform } from './products.js';
import { gram, magnitudes, range, squares } from './reductions.js';
import { columns, divergence, log_sum_exp, pick, route } from './rows.js';

const DEFINITIONS: { readonly [Name in Exclude<OpName, 'experts'>]: Definition<Name> } = {
  gather,
  linear,
  rms_norm,
  rope,
  attention,
  gated,
  add,
  scale,
  softcap,
  columns,
  route,
  transform,
  fake_quantize,
  log_sum_exp,
  divergence,
  range,
  squares,
  magnitudes,
  gram,
  pick,
};

/** An array on the host, as it was given, until it is disposed. */
class HostTensor implements Tensor {
  #data: HostArray | undefined;

  constructor(
    data: HostArray,
    readonly shape: readonly number[],
  ) {
    const size = shape.reduce((product, n) => product * n, 1);
    if (size !== data.length) throw internal(`${data.length} numbers are no array [${shape.join(', ')}]`);
    this.#data = data;
  }

  get data(): HostArray {
    if (this.#data === undefined) throw internal(`an array [${this.shape.join(', ')}] is used after it was disposed`);
    return this.#data;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- asynchronous for the engines that have a device
  async read(): Promise<Float32Array | Float64Array> {
    const { data } = this;
    return data instanceof Float32Array ? data : widen(data);
  }

  dispose(): void {
    this.#data = undefined;
  }
}

/** The engine that says what is right: every op in float64 as it is defined, slowly. */
export function createReferenceEngine(): Engine {
  return {
    name: 'reference',
    device: 'cpu',
    description: 'the definitions of all ops in float64, on one core',
    precision: 'float64',
    tensor: (data, shape) => new HostTensor(data, shape),
    compile,
    close: () => Promise.resolve(),
  };
}

function compile({ ops, inputs, outputs }: Slice): Program {
  const mixture = ops.find(({ op }) => op === 'experts');
  if (mixture) throw internal(`${mixture.out} is a mixture of experts, which is cut into slices before it is compiled`);
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- asynchronous for the engines that have a device
    async run(tensors) {
      const values = new Map(inputs.map(name => [name, floats(name, tensors[name])]));
      for (const op of ops) values.set(op.out, evaluate(op, values));
      return Object.fromEntries(outputs.map(name => [name, output(valueOf(name, values))]));
    },
  };
}

function evaluate(op: Op, values: ReadonlyMap<Value, Floats>): Floats {
  const given = Object.entries(op.in).filter((entry): entry is [string, Value] => entry[1] !== undefined);
  const arrays = Object.fromEntries(given.map(([name, value]) => [name, valueOf(value, values)]));
  // The compiler cannot see that arrays and constants are those of the same op.
  const define = DEFINITIONS[op.op as Exclude<OpName, 'experts'>] as (arrays: object, constants: object) => Floats;
  return { ...define(arrays, op.with), name: op.out };
}

function valueOf(name: Value, values: ReadonlyMap<Value, Floats>): Floats {
  const value = values.get(name);
  if (value === undefined) throw internal(`${name} is read before it is computed`);
  return value;
}

function floats(name: Value, tensor: Tensor | undefined): Floats {
  if (tensor === undefined) throw internal(`${name} is missing`);
  if (!(tensor instanceof HostTensor)) throw internal(`${name} is an array of another engine`);
  return { name, shape: tensor.shape, data: widen(tensor.data) };
}

/** The caller's own: also where an input passes through. */
function output({ shape, data }: Floats): Tensor {
  return new HostTensor(data.slice(), shape);
}

function widen(data: HostArray): Float64Array {
  return data instanceof Float64Array ? data : Float64Array.from(data);
}

function internal(message: string): TensorpressError {
  return new TensorpressError('INTERNAL', message);
}
