import { isRecord } from '../../formats/records.js';
import type { Rope } from './graph.js';
import type { Settings } from './settings.js';

type Json = Readonly<Record<string, unknown>>;

/** Types whose parameters start from the context that the model was first trained with. */
const FROM_ORIGINAL: readonly unknown[] = ['llama3', 'yarn', 'longrope'];

export interface RopeOptions {
  /** Of the heads that it rotates. */
  readonly headDim: number;
  /** Default: 10000. */
  readonly theta?: number;
  /** Whether the family rotates only `partial_rotary_factor` of each head. Default: false. */
  readonly partial?: boolean;
  /** The original context where config.json does not tell it; default: `max_position_embeddings`. */
  readonly original?: number;
  /** The only types of the family, by all their names. Default: every type, by its own name. */
  readonly types?: Readonly<Record<string, string>>;
}

/**
 * The rotary embedding that config.json describes, as transformers reads it: `rope_scaling` of old files or `rope_parameters`, with `rope_theta`
 * and `partial_rotary_factor` inside or beside it.
 * @throws TensorpressError MODEL naming the field that is of the wrong kind or that the family does not read
 */
export function readRope(
  settings: Settings,
  { headDim, theta = 10000, partial = false, original, types }: RopeOptions,
): Rope {
  const given = parametersOf(settings);
  for (const [key, value] of Object.entries(given)) {
    if (isRecord(value))
      throw settings.wrong(`rope_parameters.${key}`, value, 'no parameters of its own per layer type');
  }
  const inside = given['partial_rotary_factor'];
  const beside = settings.raw('partial_rotary_factor');
  const base = settings.raw('rope_theta');
  const share = inside ?? beside ?? 1;
  const named = typeIn(given);
  const type = types === undefined ? named : types[String(named)];
  if (type === undefined)
    throw settings.wrong('rope_parameters.rope_type', named, `one of ${Object.keys(types!).join(', ')}`);
  const proportional = type === 'proportional';
  const free = partial || proportional;
  if (typeof share !== 'number' || !(share > 0 && share <= 1) || (!free && share !== 1)) {
    throw settings.wrong('partial_rotary_factor', share, free ? 'a number above 0, at most 1' : '1');
  }
  const top = settings.countOrNull('original_max_position_embeddings', original ?? null);
  return makeRope(settings, {
    headDim,
    theta: given['rope_theta'] ?? base ?? theta,
    share: proportional ? 1 : share,
    parameters: {
      ...given,
      rope_type: type,
      partial_rotary_factor: share,
      ...(top === null || !FROM_ORIGINAL.includes(type) ? {} : { original_max_position_embeddings: top }),
    },
  });
}

/** One rotary embedding per layer type, as Gemma 3 has them: `rope_scaling` of old files belongs to full attention. */
export function readRopes(settings: Settings, headDim: number): { readonly local: Rope; readonly global: Rope } {
  const both = settings.raw('rope_parameters') ?? {};
  const scaling = settings.raw('rope_scaling') ?? {};
  if (!isRecord(both)) throw settings.wrong('rope_parameters', both, 'an object');
  if (!isRecord(scaling)) throw settings.wrong('rope_scaling', scaling, 'an object');
  // transformers puts its keys over a rope_type that is there already, so that `type` alone names nothing there and linear elsewhere
  const { rope_type: named, type = 'default' } = scaling;
  if (named === undefined && type !== 'default')
    throw settings.wrong('rope_scaling.type', type, 'rope_type in its place');
  for (const key of Object.keys(both)) {
    if (key === 'full_attention' || key === 'sliding_attention') continue;
    throw settings.wrong(`rope_parameters.${key}`, both[key], 'nothing but full_attention and sliding_attention');
  }
  const rope = (type: string, more: Json, theta: unknown): Rope => {
    const own = both[type] ?? {};
    if (!isRecord(own)) throw settings.wrong(`rope_parameters.${type}`, own, 'an object');
    const parameters = { ...own, ...more };
    // transformers does not read it where parameters are kept per layer type
    if (parameters['truncate'] === false) throw settings.wrong('rope_parameters.truncate', false, 'true');
    const share = parameters['partial_rotary_factor'] ?? 1;
    if (share !== 1) throw settings.wrong('partial_rotary_factor', share, '1');
    return makeRope(settings, {
      headDim,
      theta: parameters['rope_theta'] ?? theta,
      share,
      parameters: { ...parameters, rope_type: typeIn(parameters) },
    });
  };
  return {
    local: rope('sliding_attention', {}, settings.raw('rope_local_base_freq') ?? 10000),
    global: rope('full_attention', scaling, settings.raw('rope_theta') ?? 1_000_000),
  };
}

/** Where a file holds both spellings, transformers reads the old one only. */
function parametersOf(settings: Settings): Json {
  const [old, now] = ['rope_scaling', 'rope_parameters'].map(key => {
    const value = settings.raw(key) ?? {};
    if (!isRecord(value)) throw settings.wrong(key, value, 'an object');
    return value;
  }) as [Json, Json];
  return Object.keys(old).length > 0 ? old : now;
}

function typeIn({ rope_type: type, type: old }: Json): unknown {
  return type ?? old ?? 'default';
}

function makeRope(
  settings: Settings,
  { headDim, theta, share, parameters }: { headDim: number; theta: unknown; share: number; parameters: Json },
): Rope {
  if (typeof theta !== 'number' || !Number.isFinite(theta) || theta <= 1)
    throw settings.wrong('rope_theta', theta, 'a number above 1');
  const dim = Math.trunc(headDim * share);
  if (dim < 2 || dim % 2 !== 0)
    throw settings.wrong(
      share === 1 ? 'head_dim' : 'partial_rotary_factor',
      share === 1 ? headDim : share,
      'an even number of rotated elements',
    );
  const max = settings.countOrNull('max_position_embeddings', null);
  return { dim, theta, parameters, ...(max === null ? {} : { maxPositions: max }) };
}
