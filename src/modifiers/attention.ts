import { TensorpressError } from '../errors.js';
import { decoderOf } from '../runtime/model/decoder.js';
import type { Model, Module } from '../runtime/model/model.js';
import { normalizeArgs, type QuantizationArgs } from '../schemes/args.js';
import { under } from '../schemes/problem.js';
import type { SchemeOptions } from './groups.js';
import type { AttentionScheme, ModuleScheme, OptionPath, Problem } from './modifier.js';

/** One of these is in every attention module that keeps keys and values in a cache. */
const PROJECTIONS = ['k_proj', 'v_proj', 'qkv_proj', 'kv_b_proj'];

/** The attention modules of the decoder layers, by compressed-tensors' rule: class and children tell. */
export function cachedAttention({ modules, parts }: Model): Module[] {
  const names = new Set(modules.map(({ name }) => name));
  const layers = parts.filter(({ id }) => id.startsWith('layers.'));
  return layers
    .flatMap(layer => layer.modules)
    .filter(
      ({ name, classes }) => /attention/i.test(classes[0] ?? '') && PROJECTIONS.some(p => names.has(`${name}.${p}`)),
    );
}

/** What `kv_cache_scheme` and groups for attention modules say together. */
export interface AttentionClaims {
  readonly schemes: ReadonlyMap<string, ModuleScheme>;
  readonly places: ReadonlyMap<string, OptionPath>;
  readonly problems: readonly Problem[];
}

/**
 * The schemes of attention modules. `kv_cache_scheme` is one for the keys and values of all of them; a group for an attention module
 * quantizes its queries, and its keys and values alike unless `kv_cache_scheme` says otherwise.
 * @param groups the schemes that groups give to attention modules
 */
export function claimAttention(
  { kv_cache_scheme: given }: Pick<SchemeOptions, 'kv_cache_scheme'>,
  model: Model,
  groups: ReadonlyMap<string, ModuleScheme>,
): AttentionClaims {
  const schemes = new Map<string, ModuleScheme>();
  const places = new Map<string, OptionPath>();
  const path = ['kv_cache_scheme'];
  const checked = given == null ? undefined : normalizeArgs(given, { observer: 'static_minmax', observers: 'any' });
  const problems: Problem[] = under('kv_cache_scheme', checked?.problems ?? []).map(p => ({ level: 'error', ...p }));
  const attention = cachedAttention(model);
  if (checked?.args !== undefined && attention.length === 0) {
    const message = 'no attention module of this model is known to keep keys and values in a cache';
    problems.push({ level: 'error', path, message, hint: 'leave kv_cache_scheme out' });
  }
  for (const { name } of attention) {
    const group = groups.get(name);
    const cache = checked?.args ?? group?.input_activations;
    if (cache == null) continue;
    if (group === undefined) places.set(name, path);
    schemes.set(name, { ...(group ?? CACHE_ONLY), attention: { cache, dtype: model.dtype } });
  }
  const stored = [...schemes.values()].some(scheme => hasStoredScales(scheme));
  if (!stored) return { schemes, places, problems };
  try {
    const heads = headsOf(model);
    for (const [name, scheme] of schemes) {
      schemes.set(name, { ...scheme, attention: { ...scheme.attention!, heads: heads.get(name)! } });
    }
  } catch (error) {
    if (!(error instanceof TensorpressError)) throw error;
    const [at] = schemes.keys();
    const hint = 'scales that are stored need the model to run; leave the cache and attention as they are';
    problems.push({ level: 'error', path: places.get(at!) ?? ['config_groups'], message: error.message, hint });
  }
  return { schemes, places, problems };
}

/** Of an attention module that no group names; it is no group in config.json. */
const CACHE_ONLY: ModuleScheme = {
  weights: null,
  input_activations: null,
  output_activations: null,
  format: 'dense',
  targets: [],
  target: 'kv_cache_scheme',
};

const isStatic = (args: QuantizationArgs | null | undefined) => args != null && args.dynamic !== true;

function hasStoredScales({ input_activations: q, attention }: ModuleScheme): boolean {
  return isStatic(q) || isStatic(attention?.cache);
}

/** @throws TensorpressError MODEL when the model cannot be run */
function headsOf(model: Model): Map<string, NonNullable<AttentionScheme['heads']>> {
  const found = new Map<string, NonNullable<AttentionScheme['heads']>>();
  for (const { prefix, ops } of decoderOf(model).layers) {
    for (const op of ops) {
      if (op.op === 'attention') found.set(`${prefix}self_attn`, { q: op.with.heads, kv: op.with.kvHeads });
    }
  }
  return found;
}
