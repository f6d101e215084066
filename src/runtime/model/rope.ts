import { TensorpressError } from '../../errors.js';
import { printable } from '../../formats/printable.js';
import type { Rope } from './graph.js';

/** What rope ops read: of S positions, row by row, for each pair of elements of a head. */
export interface RopeTable {
  /** [S, dim / 2], times the attention factor. */
  readonly cos: Float32Array | Float64Array;
  readonly sin: Float32Array | Float64Array;
}

interface Frequencies {
  /** Radians per position, of each pair. */
  readonly frequencies: Float64Array;
  /** What cos and sin are multiplied by. */
  readonly factor: number;
}

/** How transformers computes in float32; in float64 nothing is rounded. */
type Round = (value: number) => number;

interface Context {
  readonly rope: Rope;
  readonly round: Round;
  /** The longest sequence that the positions belong to: their maximum + 1. */
  readonly length: number;
}

/** Keys of `rope_parameters` by `rope_type`, besides `rope_theta`, `partial_rotary_factor`, and the type itself. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  dynamic: ['factor'],
  proportional: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
  yarn: [
    ...['factor', 'attention_factor', 'mscale', 'mscale_all_dim', 'beta_fast', 'beta_slow', 'truncate'],
    ...['original_max_position_embeddings', 'finetuned'],
  ],
  longrope: ['factor', 'attention_factor', 'short_factor', 'long_factor', 'original_max_position_embeddings'],
};
const ALWAYS = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];

const TYPES: Readonly<Record<string, (context: Context) => Frequencies>> = {
  default: ({ rope, round }) => ({ frequencies: plain(rope, round), factor: 1 }),
  linear: ({ rope, round }) => {
    const factor = positive(rope, 'factor');
    return { frequencies: plain(rope, round).map(f => round(f / round(factor))), factor: 1 };
  },
  dynamic: context => ({ frequencies: dynamic(context), factor: 1 }),
  proportional: ({ rope, round }) => ({ frequencies: proportional(rope, round), factor: 1 }),
  llama3: ({ rope, round }) => ({ frequencies: llama3(rope, round), factor: 1 }),
  yarn: ({ rope, round }) => yarn(rope, round),
  longrope,
};

/**
 * cos and sin of position x frequency, for the rotation of heads.
 *
 * The types are those of transformers: `default` (RoFormer), `linear` (position interpolation), `dynamic` (NTK-aware, by the length of the
 * sequence), `proportional`, `llama3`, `yarn` (YaRN, with its attention factor) and `longrope` (LongRoPE; long factors for a sequence longer than the original
 * context). `dynamic` and `longrope` depend on the whole sequence: positions have to reach to its end.
 * @param positions int32 [S], each 0 or more
 * @param precision `float32` rounds each step as transformers does, so that tables agree with its tables; `float64` does not round
 * @throws TensorpressError MODEL naming the field, when the type is unknown or a parameter is missing, unknown, or of the wrong kind
 */
export function ropeTable(rope: Rope, positions: Int32Array, precision: 'float32' | 'float64'): RopeTable {
  const single = precision === 'float32';
  const length = positions.reduce((longest, position) => Math.max(longest, position + 1), 1);
  const { frequencies, factor } = typeOf(rope)({ rope, round: single ? Math.fround : x => x, length });

  const pairs = frequencies.length;
  const [cos, sin] = single
    ? [new Float32Array(positions.length * pairs), new Float32Array(positions.length * pairs)]
    : [new Float64Array(positions.length * pairs), new Float64Array(positions.length * pairs)];
  for (let s = 0, i = 0; s < positions.length; s++) {
    const position = positions[s]!;
    for (let pair = 0; pair < pairs; pair++, i++) {
      const exact = position * frequencies[pair]!;
      const angle = single ? Math.fround(exact) : exact;
      cos[i] = Math.cos(angle);
      sin[i] = Math.sin(angle);
    }
  }
  if (factor !== 1) {
    const by = single ? Math.fround(factor) : factor;
    for (let i = 0; i < cos.length; i++) {
      cos[i] = cos[i]! * by;
      sin[i] = sin[i]! * by;
    }
  }
  return { cos, sin };
}

function typeOf({ parameters }: Rope): (context: Context) => Frequencies {
  const type = parameters['rope_type'];
  const keys = typeof type === 'string' && Object.hasOwn(KEYS, type) ? KEYS[type] : undefined;
  if (keys === undefined) throw wrong('rope_type', type, `one of ${Object.keys(KEYS).join(', ')}`);
  for (const [key, value] of Object.entries(parameters)) {
    if (value == null || ALWAYS.includes(key) || keys.includes(key)) continue;
    throw new TensorpressError('MODEL', `rope_parameters.${key} does not belong to rope_type ${String(type)}`, {
      place: { file: 'config.json' },
      hint: 'correct rope_parameters (rope_scaling) in config.json, or remove what the model does not use',
    });
  }
  return TYPES[String(type)]!;
}

/** theta^(-2 n / dim) */
function plain({ dim, theta }: Rope, round: Round): Float64Array {
  return wavenumbers(dim, theta, round).map(power => round(1 / power));
}

/** theta^(2 n / dim) */
function wavenumbers(dim: number, theta: number, round: Round): Float64Array {
  return Float64Array.from({ length: dim / 2 }, (_, n) => round(round(theta) ** round((2 * n) / dim)));
}

/** A theta that grows with the part of the sequence beyond `max_position_embeddings`. */
function dynamic({ rope, round, length }: Context): Float64Array {
  const { dim, theta } = rope;
  const factor = positive(rope, 'factor');
  const max = maxPositions(rope);
  if (dim <= 2) throw wrong('rope_type', 'dynamic', 'another type where a head has only two elements');
  if (length <= max) return plain(rope, round);
  const grown = round(round(round(factor * length) / max) - round(factor - 1));
  return plain({ ...rope, theta: round(theta * round(grown ** (dim / (dim - 2)))) }, round);
}

/** Only the first `partial_rotary_factor` of the pairs turn, with the frequencies that they have among all. */
function proportional(rope: Rope, round: Round): Float64Array {
  const factor = optional(rope, 'factor') ?? 1;
  const turning = Math.trunc(Math.floor((optional(rope, 'partial_rotary_factor') ?? 1) * rope.dim) / 2);
  return plain(rope, round).map((f, n) => (n < turning ? round(f / round(factor)) : 0));
}

/** Long wavelengths are stretched, short ones kept, those between mixed (Llama 3.1). */
function llama3(rope: Rope, round: Round): Float64Array {
  const factor = positive(rope, 'factor');
  const [low, high] = [positive(rope, 'low_freq_factor'), positive(rope, 'high_freq_factor')];
  const original = originalPositions(rope);
  if (high <= low) throw wrong('high_freq_factor', high, 'more than low_freq_factor');
  return plain(rope, round).map(f => {
    const wavelength = round(round(2 * Math.PI) / f);
    if (wavelength > round(original / low)) return round(f / round(factor));
    if (wavelength < round(original / high)) return f;
    const smooth = round(round(round(original / wavelength) - round(low)) / round(high - low));
    return round(round(round(round(1 - smooth) * f) / round(factor)) + round(smooth * f));
  });
}

/** NTK by parts: pairs that turn often are kept, those that turn less than once are interpolated, with a ramp between. */
function yarn(rope: Rope, round: Round): Frequencies {
  const { dim, theta, parameters } = rope;
  const original = originalPositions(rope);
  const factor =
    'factor' in parameters && parameters['factor'] === null ? maxPositions(rope) / original : positive(rope, 'factor');
  const [mscale, mscaleAll] = [optional(rope, 'mscale') ?? 0, optional(rope, 'mscale_all_dim') ?? 0];
  const magnitude = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const truncate = parameters['truncate'] ?? true;
  if (typeof truncate !== 'boolean') throw wrong('truncate', truncate, 'true or false');

  /** The pair that turns this often within the original context. */
  const pairOf = (turns: number) => (dim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [
    pairOf((optional(rope, 'beta_fast') ?? 0) || 32),
    pairOf((optional(rope, 'beta_slow') ?? 0) || 1),
  ];
  const from = Math.max(truncate ? Math.floor(first) : first, 0);
  const end = Math.min(truncate ? Math.ceil(last) : last, dim - 1);
  const to = end === from ? end + 0.001 : end;
  const frequencies = wavenumbers(dim, theta, round).map((power, n) => {
    const ramp = Math.min(1, Math.max(0, round(round(n - round(from)) / round(to - from))));
    const kept = round(1 - ramp);
    return round(round(round(1 / round(round(factor) * power)) * round(1 - kept)) + round(round(1 / power) * kept));
  });
  const both = mscale !== 0 && mscaleAll !== 0;
  return {
    frequencies,
    factor: optional(rope, 'attention_factor') ?? (both ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1)),
  };
}

/** A divisor for each pair: one list up to the original context, another beyond it. */
function longrope({ rope, round, length }: Context): Frequencies {
  const { dim, theta } = rope;
  const original = originalPositions(rope);
  const lists = { short: divisors(rope, 'short_factor'), long: divisors(rope, 'long_factor') };
  const by = length > original ? lists.long : lists.short;
  const factor = optional(rope, 'factor') ?? maxPositions(rope) / original;
  return {
    frequencies: wavenumbers(dim, theta, round).map((power, n) => round(1 / round(round(by[n]!) * power))),
    factor:
      optional(rope, 'attention_factor') ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))),
  };
}

function divisors({ dim, parameters }: Rope, key: string): readonly number[] {
  const list = parameters[key];
  const right = (item: unknown) => typeof item === 'number' && Number.isFinite(item) && item > 0;
  if (!Array.isArray(list) || list.length !== dim / 2 || !list.every(right)) {
    throw wrong(key, list, `${dim / 2} numbers above 0`);
  }
  return list as number[];
}

function maxPositions({ maxPositions }: Rope): number {
  if (maxPositions !== undefined) return maxPositions;
  throw new TensorpressError('MODEL', 'max_position_embeddings is missing, and rope_parameters start from it', {
    place: { file: 'config.json' },
    hint: 'add it to config.json, as in the original model',
  });
}

function originalPositions(rope: Rope): number {
  return optional(rope, 'original_max_position_embeddings') ?? maxPositions(rope);
}

function positive({ parameters }: Rope, key: string): number {
  const value = parameters[key];
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw wrong(key, value, 'a number above 0');
}

/** undefined where the key is absent or null */
function optional({ parameters }: Rope, key: string): number | undefined {
  const value = parameters[key];
  if (value == null) return undefined;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw wrong(key, value, 'a number, 0 or more');
}

function wrong(key: string, value: unknown, expected: string): TensorpressError {
  const shown = JSON.stringify(value) as string | undefined;
  return new TensorpressError(
    'MODEL',
    `rope_parameters.${key} is ${printable(shown ?? 'missing', 60)}, expected ${expected}`,
    {
      place: { file: 'config.json' },
      hint: 'compare rope_parameters (rope_scaling) in config.json with those of the original model',
    },
  );
}
