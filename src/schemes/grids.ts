import { TensorpressError } from '../errors.js';
import { makeGrid, type Grid } from '../numerics/grid.js';
import type { QuantizationArgs } from './args.js';

/**
 * The grid of a strategy over a weight W[rows, columns].
 * @throws TensorpressError PLAN for token and attn_head, which a weight does not have
 */
export function weightGrid(
  { strategy, group_size, block_structure }: QuantizationArgs,
  rows: number,
  columns: number,
): Grid {
  switch (strategy) {
    case 'tensor':
      return makeGrid(rows, columns, rows, columns);
    case 'channel':
      return makeGrid(rows, columns, 1, columns);
    case 'group':
    case 'tensor_group':
      return makeGrid(rows, columns, 1, group_size!);
    case 'block':
      return makeGrid(rows, columns, ...block_structure!);
    case 'token':
    case 'attn_head':
      throw new TensorpressError('PLAN', `weights cannot use strategy ${strategy}`, {
        hint: 'use tensor, channel, group, tensor_group or block',
      });
  }
}

/** Why these args cannot quantize any weight, as a sentence; undefined if they can. */
export function weightArgsProblem({ strategy, dynamic }: QuantizationArgs): string | undefined {
  if (strategy === 'token' || strategy === 'attn_head') return `weights cannot use strategy ${strategy}`;
  return dynamic === false ? undefined : 'weights are quantized once, so they cannot be dynamic';
}

export interface DivisibilityProblem {
  /** A sentence with the shape and the group size. */
  readonly message: string;
  /** Group sizes that divide the columns, largest first; empty where the number format allows one size only. */
  readonly divisors: number[];
}

/** Groups are never padded: a problem when group_size does not divide the columns of W[rows, columns]. */
export function divisibilityProblem(
  { strategy, group_size: g, type, num_bits, scale_dtype }: QuantizationArgs,
  rows: number,
  columns: number,
): DivisibilityProblem | undefined {
  if ((strategy !== 'group' && strategy !== 'tensor_group') || columns % g! === 0) return undefined;
  const oneSizeOnly = (type === 'float' && num_bits === 4) || scale_dtype !== null;
  return {
    message: `the ${columns} columns of [${rows}, ${columns}] do not divide into groups of ${g}`,
    divisors: oneSizeOnly ? [] : divisorsOf(columns).filter(d => d > 1),
  };
}

function divisorsOf(n: number): number[] {
  return Array.from({ length: n }, (_, i) => n - i).filter(d => n % d === 0);
}
