import { TensorpressError } from '../../../errors.js';
import type { OpName, Ops, Value } from '../../model/graph.js';

/** A value while a program runs: float64, row by row. Ids, positions and masks are such numbers too. */
export interface Floats {
  readonly name: Value;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The arrays of an op, by the names that `Ops` gives them. */
export type Arrays<Name extends OpName> = { readonly [K in keyof Ops[Name]['in']]: Floats };

/** What an op means: a function of arrays and constants. Its result still has no name. */
export type Definition<Name extends OpName> = (
  arrays: Arrays<Name>,
  constants: Ops[Name]['with'],
) => Omit<Floats, 'name'>;

/**
 * Rows and columns of a matrix.
 * @throws TensorpressError INTERNAL when the array is no matrix, or one of other sizes than those that are given
 */
export function matrix(array: Floats, rows?: number, columns?: number): [number, number] {
  const [r, c] = array.shape;
  const fits = array.shape.length === 2 && (rows ?? r) === r && (columns ?? c) === c;
  if (!fits) throw misfit(array, [rows ?? 'any', columns ?? 'any']);
  return [r!, c!];
}

/**
 * Length of a vector.
 * @throws TensorpressError INTERNAL when the array is no vector, or one of another length than the one that is given
 */
export function vector(array: Floats, length?: number): number {
  const [n] = array.shape;
  if (array.shape.length !== 1 || (length ?? n) !== n) throw misfit(array, [length ?? 'any']);
  return n!;
}

/**
 * How many blocks of `size` there are in `total` elements of an array.
 * @throws TensorpressError INTERNAL when they do not divide
 */
export function blocks(array: Floats, total: number, size: number): number {
  if (total % size === 0) return total / size;
  throw new TensorpressError(
    'INTERNAL',
    `${array.name} is [${array.shape.join(', ')}]: ${total} is no multiple of ${size}`,
  );
}

function misfit({ name, shape }: Floats, expected: readonly (number | 'any')[]): TensorpressError {
  return new TensorpressError('INTERNAL', `${name} is [${shape.join(', ')}], not [${expected.join(', ')}]`);
}
