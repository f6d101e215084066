import { TensorpressError } from '../../errors.js';
import { firstNonFinite, narrow, widen, type DType } from '../../numerics/dtypes.js';
import { packBitsRows, packedWords, unpackBitsRows } from '../../numerics/pack.js';
import { actorderOf } from '../../schemes/args.js';
import { weightGrid } from '../../schemes/grids.js';
import type { Parameters, WeightSpec } from '../format.js';
import { asBytes, asInt32 } from './views.js';

/** One tensor beside the codes: when it is there, what it looks like, and which of the parameters it holds. */
export interface StoredParameter {
  readonly suffix: string;
  /** Undefined: such a weight does not have it. */
  readonly layout: (spec: WeightSpec) => { readonly dtype: DType; readonly shape: readonly number[] } | undefined;
  readonly write: (parameters: Parameters, spec: WeightSpec) => Uint8Array;
  /** `bytes` has the length that `layout` says. */
  readonly read: (bytes: Uint8Array, spec: WeightSpec) => Partial<Parameters>;
}

/** A refusal of what `<module>.<suffix>` holds. */
export function storedError(module: string | undefined, suffix: string, problem: string): TensorpressError {
  const tensor = module === undefined ? suffix : `${module}.${suffix}`;
  return new TensorpressError('TENSOR', `${tensor} ${problem}`, {
    place: { tensor },
    hint: 'the checkpoint is damaged, or was written in another format than its config.json says',
  });
}

/** One scale per block of the grid: [1] for a tensor, else [gridRows, gridColumns], which is [R, 1] for channels. */
function blockShape({ rows, columns, args }: WeightSpec): readonly number[] {
  const { gridRows, gridColumns } = weightGrid(args, rows, columns);
  return args.strategy === 'tensor' ? [1] : [gridRows, gridColumns];
}

/** Scales stored as `dtype` (T unless given); `stored` is the dtype that the header names, where that is another one. */
function scaleAs(dtype?: DType, stored = dtype): StoredParameter {
  const suffix = 'weight_scale';
  return {
    suffix,
    layout: spec => ({ dtype: stored ?? spec.dtype, shape: blockShape(spec) }),
    write: ({ scale }, spec) => narrow(scale, dtype ?? spec.dtype),
    read: (bytes, spec) => {
      const scale = widen(bytes, dtype ?? spec.dtype);
      if (firstNonFinite(scale) !== -1) throw storedError(spec.module, suffix, 'holds a scale that is not finite');
      return { scale };
    },
  };
}

/** Scales in the model's dtype. */
export const modelScale = scaleAs();
/** Scales as float8, under a global scale. */
export const e4m3Scale = scaleAs('F8_E4M3');
/** Powers of two as their exponents; the header calls them U8. */
export const e8m0Scale = scaleAs('F8_E8M0', 'U8');

/** Zero points of asymmetric integers: I8, one per scale. */
export const byteZeroPoint: StoredParameter = {
  suffix: 'weight_zero_point',
  layout: spec => (spec.args.symmetric ? undefined : { dtype: 'I8', shape: blockShape(spec) }),
  write: ({ zeroPoint }) => asBytes(zeroPoint!),
  read: (bytes, { args, module }) => {
    const zeroPoint = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    const limit = 1 << (args.num_bits - 1);
    const wrong = zeroPoint.find(z => z < -limit || z >= limit);
    if (wrong !== undefined) {
      const range = `the signed range of ${args.num_bits} bits, ${-limit} to ${limit - 1}`;
      throw storedError(module, 'weight_zero_point', `holds ${wrong}, outside ${range}`);
    }
    return { zeroPoint };
  },
};

/** The same, packed along the first dimension where there is one scale or more per row. */
export const packedZeroPoint: StoredParameter = {
  suffix: byteZeroPoint.suffix,
  layout: spec => {
    const plain = byteZeroPoint.layout(spec);
    if (plain === undefined || !perRow(spec)) return plain;
    const [rows, groups] = plain.shape as [number, number];
    return { dtype: 'I32', shape: [packedWords(rows, spec.args.num_bits), groups] };
  },
  write: (parameters, spec) => {
    const [rows, groups] = blockShape(spec) as [number, number];
    if (!perRow(spec)) return byteZeroPoint.write(parameters, spec);
    return asBytes(packBitsRows(parameters.zeroPoint!, rows, groups, spec.args.num_bits));
  },
  read: (bytes, spec) => {
    const [rows, groups] = blockShape(spec) as [number, number];
    if (!perRow(spec)) return byteZeroPoint.read(bytes, spec);
    return { zeroPoint: unpackBitsRows(asInt32(bytes), rows, groups, spec.args.num_bits) };
  },
};

const perRow = ({ args }: WeightSpec): boolean => args.strategy === 'group' || args.strategy === 'channel';

/** G of NVFP4. */
export const globalScale: StoredParameter = {
  suffix: 'weight_global_scale',
  layout: ({ args }) => (args.strategy === 'tensor_group' ? { dtype: 'F32', shape: [1] } : undefined),
  write: parameters => narrow(Float32Array.of(parameters.globalScale!), 'F32'),
  read: (bytes, { module }) => {
    const [g] = widen(bytes, 'F32') as unknown as [number];
    if (!(Number.isFinite(g) && g > 0))
      throw storedError(module, 'weight_global_scale', `is ${g}, not a positive number`);
    return { globalScale: g };
  },
};

/** R and C, which padding hides from the shape of packed codes; `measure` reads them. */
export const weightShape: StoredParameter = {
  suffix: 'weight_shape',
  layout: () => ({ dtype: 'I64', shape: [2] }),
  write: (_, { rows, columns }) => asBytes(BigInt64Array.of(BigInt(rows), BigInt(columns))),
  read: () => ({}),
};

/**
 * Group of each column under `actorder: group`. The reference stores -1 throughout where no method has reordered the columns, and reads a
 * -1 as that.
 */
export const groupIndex: StoredParameter = {
  suffix: 'weight_g_idx',
  layout: ({ columns, args }) => (actorderOf(args) === 'group' ? { dtype: 'I32', shape: [columns] } : undefined),
  write: (parameters, { columns }) => asBytes(parameters.groupIndex ?? new Int32Array(columns).fill(-1)),
  read: (bytes, { rows, columns, args, module }) => {
    const index = asInt32(bytes);
    if (index.includes(-1)) return { groupIndex: null };
    const { gridColumns } = weightGrid(args, rows, columns);
    const wrong = index.find(g => g < 0 || g >= gridColumns);
    if (wrong !== undefined) throw storedError(module, 'weight_g_idx', `names group ${wrong} of ${gridColumns}`);
    return { groupIndex: index };
  },
};
