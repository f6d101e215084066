import type { Op, Value } from '../../../src/runtime/model/graph.js';
import { slice, type Slice } from '../../../src/runtime/model/slice.js';
import { seeded } from '../numbers.js';

/** What an engine is given: floats are float32, whatever it computes in, so that every engine starts from the same numbers. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

export interface Case {
  readonly title: string;
  readonly slice: Slice;
  readonly arrays: Readonly<Record<Value, Numbers>>;
  /** Quantized values of these very inputs: they are on the grid of codes or wrong. */
  readonly codes?: boolean;
}

/** A case of one op, whose arrays have the names that `Ops` gives them. */
export function single<N extends Op['op']>(
  op: N,
  constants: Extract<Op, { op: N }>['with'],
  arrays: Readonly<Record<Value, Numbers>>,
  note = '',
): Case {
  const names = Object.fromEntries(Object.keys(arrays).map(name => [name, name]));
  const one = { op, in: names, with: constants, out: 'y' } as unknown as Op;
  const sizes = Object.entries(arrays).map(([name, { shape }]) => `${name} [${shape.join(', ')}]`);
  return {
    title: `${op}${note && ` ${note}`}: ${sizes.join(', ')}`,
    slice: slice([one], ['y']),
    arrays,
    codes: op === 'fake_quantize',
  };
}

/** Random sizes and numbers, the same for the same seed. */
export interface Draw {
  /** lowest, lowest + 1, ... or highest */
  int(lowest: number, highest: number): number;
  pick<T>(among: readonly T[]): T;
  /** Normally distributed. */
  floats(shape: readonly number[], sigma?: number): Numbers;
  ints(length: number, lowest: number, highest: number): Numbers;
}

export function draws(seed: number): Draw {
  const next = seeded(seed);
  const int = (lowest: number, highest: number): number => lowest + Math.floor(next() * (highest - lowest + 1));
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return {
    int,
    pick: among => among[int(0, among.length - 1)]!,
    floats: (shape, sigma = 1) => floats(shape, () => sigma * normal()),
    ints: (length, lowest, highest) => ({
      shape: [length],
      data: Int32Array.from({ length }, () => int(lowest, highest)),
    }),
  };
}

export function floats(shape: readonly number[], value: (i: number) => number): Numbers {
  const length = shape.reduce((product, n) => product * n, 1);
  return { shape, data: Float32Array.from({ length }, (_, i) => value(i)) };
}

/** Rows that break careless arithmetic: zeros, negative zeros, equal, huge, tiny, of all magnitudes, one value alone. */
export function edgeRows(columns: number, huge: number): Numbers {
  const tiny = 1e-30;
  const rows: ((c: number) => number)[] = [
    () => 0,
    () => -0,
    () => 0.7,
    c => (c % 2 === 0 ? huge : -huge / 3),
    c => (c % 2 === 0 ? tiny : -tiny / 3),
    c => [huge, -1, 0, tiny, -0, 3, -tiny][c % 7]!,
    c => (c === columns - 1 ? -2 : 0),
  ];
  return floats([rows.length, columns], i => rows[Math.floor(i / columns)]!(i % columns));
}

/** Angles of positions, as rope ops read them: [S, r] each. */
export function angles(positions: ArrayLike<number>, r: number): { cos: Numbers; sin: Numbers } {
  const angle = (i: number): number => positions[Math.floor(i / r)]! * 10000 ** -((i % r) / r);
  const shape = [positions.length, r];
  return { cos: floats(shape, i => Math.cos(angle(i))), sin: floats(shape, i => Math.sin(angle(i))) };
}
