import assert from 'node:assert/strict';
import type { Parameters, WeightSpec } from '../../../src/formats/format.js';
import { normalizeArgs, type QuantizationArgs } from '../../../src/schemes/args.js';

/** Complete args from the fields that matter. */
export function argsOf(fields: object): QuantizationArgs {
  const { args, problems } = normalizeArgs(fields);
  assert.ok(args, JSON.stringify(problems));
  return args;
}

export function specOf(rows: number, columns: number, fields: object, dtype: WeightSpec['dtype'] = 'BF16'): WeightSpec {
  return { rows, columns, dtype, args: argsOf(fields), module: 'm' };
}

export function parametersOf(scale: number[], rest: Partial<Parameters> = {}): Parameters {
  return { scale: Float32Array.from(scale), zeroPoint: null, globalScale: null, groupIndex: null, ...rest };
}

export const NVFP4 = {
  type: 'float',
  num_bits: 4,
  strategy: 'tensor_group',
  group_size: 16,
  scale_dtype: 'torch.float8_e4m3fn',
};
export const MXFP4 = { type: 'float', num_bits: 4, strategy: 'group', group_size: 32, scale_dtype: 'torch.uint8' };
export const MXFP8 = { ...MXFP4, num_bits: 8 };
