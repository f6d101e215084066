import { TensorpressError } from '../../../errors.js';
import { machineEpsilon } from '../../../numerics/dtypes.js';
import { E4M3_MAX } from '../../../numerics/floats.js';
import { codeRange } from '../../../numerics/qparams.js';
import type { QuantizationArgs } from '../../../schemes/args.js';
import type { Op } from '../../model/graph.js';
import type { Builder, Wire } from './builder.js';
import { mxScale, roundE2M1, roundE4M3 } from './small-floats.js';

type Arrays = { readonly [K in keyof Op<'fake_quantize'>['in']]: Wire };

/** Scales and zero points, one for each block; they broadcast against the blocks. */
interface Parameters {
  readonly scale: Wire;
  readonly zeroPoint: Wire | undefined;
}

/** The float32 epsilon, which stands for a scale of 0. */
const EPSILON = machineEpsilon('F32');

/** (round(clamp(x / s + z)) - z) s, each step in float32, the same steps as `quantize` and `dequantize`. */
export function lowerFakeQuantize(b: Builder, arrays: Arrays, { args }: Op<'fake_quantize'>['with']): Wire {
  const { x, globalScale } = arrays;
  const blocks = blocksOf(b, arrays, args);
  const { scale, zeroPoint } = arrays.scale ? stored(b, arrays, args) : observed(b, blocks, arrays, args);
  const s = globalScale ? b.binary('Div', scale, globalScale) : scale;
  const z = zeroPoint ?? 0; // adding 0 makes 0 of -0
  const { lowest, highest } = codeRange(args);
  const code = round(b, clamp(b, b.binary('Add', b.binary('Div', blocks, s), z), lowest, highest), args);
  const levels = args.type === 'int' ? b.binary('Sub', b.binary('Add', code, 0), z) : code;
  return b.reshape(b.binary('Mul', levels, s), x.shape[0] ?? -1, x.shape[1]!);
}

/** x as [blocks, elements of one block]; with one scale for each head, as [T, heads, elements]. */
function blocksOf(b: Builder, { x, scale }: Arrays, { strategy, group_size, dynamic }: QuantizationArgs): Wire {
  const C = x.shape[1]!;
  if (scale === undefined && dynamic === false)
    throw new TensorpressError('INTERNAL', 'a static scheme without its scale');
  switch (strategy) {
    case 'tensor':
      return b.reshape(x, 1, -1);
    case 'token':
      return x;
    case 'group':
    case 'tensor_group':
      return b.reshape(x, -1, group_size!);
    case 'attn_head':
      return b.reshape(x, -1, scale!.shape[0]!, C / scale!.shape[0]!);
    default:
      throw new TensorpressError('INTERNAL', `activations have no strategy ${strategy}`);
  }
}

function stored(b: Builder, { scale, zeroPoint }: Arrays, { symmetric }: QuantizationArgs): Parameters {
  const column = (array: Wire): Wire => b.reshape(array, array.shape[0]!, 1);
  const zeros = symmetric || zeroPoint === undefined ? undefined : column(b.cast(zeroPoint, 'float32'));
  return { scale: column(scale!), zeroPoint: zeros };
}

/** The steps of `qparams`. */
function observed(b: Builder, blocks: Wire, { globalScale }: Arrays, args: QuantizationArgs): Parameters {
  const { lowest, highest } = codeRange(args);
  if (args.symmetric) {
    const span = b.reduce('ReduceMax', b.unary('Abs', blocks));
    if (args.scale_dtype === 'torch.uint8') return { scale: mxScale(b, span, args.num_bits), zeroPoint: undefined };
    const s = b.binary('Div', span, args.type === 'int' ? (highest - lowest) / 2 : highest);
    return { scale: storedScale(b, globalScale ? b.binary('Mul', s, globalScale) : s, args), zeroPoint: undefined };
  }
  const min = b.binary('Min', b.reduce('ReduceMin', blocks), 0);
  const max = b.binary('Max', b.reduce('ReduceMax', blocks), 0);
  const s = b.binary('Div', b.binary('Sub', max, min), highest - lowest);
  const z = b.round(clamp(b, b.binary('Sub', lowest, b.binary('Div', min, s)), lowest, highest));
  const empty = b.binary('And', b.binary('Equal', s, 0, 'bool'), b.binary('Equal', min, 0, 'bool'));
  return { scale: storedScale(b, s, args), zeroPoint: b.where(empty, 0, z) };
}

/** A scale as it would be stored, and never 0. */
function storedScale(b: Builder, s: Wire, { scale_dtype }: QuantizationArgs): Wire {
  const small = scale_dtype === 'torch.float8_e4m3fn';
  const rounded = small ? roundE4M3(b, b.binary('Min', s, E4M3_MAX)) : s;
  return b.where(b.binary('Equal', rounded, 0, 'bool'), small ? 0.125 : EPSILON, rounded);
}

function round(b: Builder, x: Wire, { type, num_bits }: QuantizationArgs): Wire {
  if (type === 'int') return b.round(x);
  return num_bits === 4 ? roundE2M1(b, x) : roundE4M3(b, x);
}

function clamp(b: Builder, x: Wire, lowest: number, highest: number): Wire {
  return b.node('Clip', [x, b.number(lowest), b.number(highest)], x.shape);
}
