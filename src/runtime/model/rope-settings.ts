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
  /** Other names of types. */
  readonly renamed?: Readonly<Record<string, string>>;
}

/**
 * The rotary embedding that config.json describes, as transformers reads it: `rope_scaling` of old files or `rope_parameters`, with `rope_theta`
 * and `partial_rotary_factor` inside or beside it.
 * @throws TensorpressError MODEL naming the field that is of the wrong kind, contradicts another, or that the family does not read
 */
export function readRope(
  settings: Settings,
  { theta = 10000, partial = false, original, ...options }: RopeOptions,
): Rope {
  const given = parametersOf(settings);
  for (const [key, value] of Object.entries(given)) {
    if (isRecord(value))
      throw settings.wrong(`rope_parameters.${key}`, value, 'no parameters of its own per layer type');
  }
  const inside = given['partial_rotary_factor'];
  const beside = settings.raw('partial_rotary_factor');
  const share = inside ?? beside ?? 1;
  const named = typeIn(settings, given);
  const type = typeof named === 'string' ? (options.renamed?.[named] ?? named) : named;
  const proportional = type === 'proportional';
  const free = partial || proportional;
  if (typeof share !== 'number' || !(share > 0 && share <= 1) || (!free && share !== 1)) {
    throw settings.wrong('partial_rotary_factor', share, free ? 'a number above 0, at most 1' : '1');
  }
  const top = settings.countOrNull('original_max_position_embeddings', original ?? null);
  return makeRope(settings, {
    headDim: options.headDim,
    theta: given['rope_theta'] ?? settings.raw('rope_theta') ?? theta,
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
      parameters: { ...parameters, rope_type: typeIn(settings, parameters) },
    });
  };
  return {
    local: rope('sliding_attention', {}, settings.raw('rope_local_base_freq') ?? 10000),
    global: rope('full_attention', scaling, settings.raw('rope_theta') ?? 1_000_000),
  };
}

/** transformers reads only the old spelling where a file holds both; they have to agree. */
function parametersOf(settings: Settings): Json {
  const [old, now] = ['rope_scaling', 'rope_parameters'].map(key => {
    const value = settings.raw(key) ?? {};
    if (!isRecord(value)) throw settings.wrong(key, value, 'an object');
    return value;
  }) as [Json, Json];
  if (Object.keys(old).length === 0) return now;
  if (Object.keys(now).length > 0) {
    const theta = settings.raw('rope_theta');
    const canonical = (value: Json) => ({
      rope_theta: theta,
      ...value,
      rope_type: typeIn(settings, value),
      type: null,
    });
    const [a, b]: Json[] = [canonical(old), canonical(now)];
    for (const key of new Set([...Object.keys(a!), ...Object.keys(b!)])) {
      if (JSON.stringify(a![key] ?? null) === JSON.stringify(b![key] ?? null)) continue;
      throw settings.wrong(`rope_scaling.${key}`, a![key], `what rope_parameters.${key} is`);
    }
  }
  return old;
}

function typeIn(settings: Settings, parameters: Json): unknown {
  const { rope_type: type, type: old } = parameters;
  if (type !== undefined && old !== undefined && type !== old) {
    throw settings.wrong('rope_parameters.type', old, 'what rope_type is');
  }
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
