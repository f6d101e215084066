import { cachedAttention } from '../modifiers/attention.js';
import type { Claims, ModuleScheme } from '../modifiers/modifier.js';
import { builtInModifier } from '../modifiers/table.js';
import type { Model } from '../runtime/model/model.js';
import { patterns } from '../runtime/model/untouched.js';
import { sameArgs, type QuantizationArgs } from '../schemes/args.js';
import { checkSchemes } from './check-schemes.js';
import { checkObservations } from './observations.js';
import { planParts } from './parts.js';
import { observersOf } from './plugins/plugins.js';
import {
  alreadyQuantized,
  cacheFindings,
  calibrationFindings,
  evaluationFindings,
  notBuilt,
  raise,
  unbuiltSections,
  type PlanFinding,
} from './plan-findings.js';
import type { Outcome, Plan, Step } from './plan.js';
import type { ParsedRecipe } from './recipe.js';
import { codesAlike } from './tied.js';

const NO_CLAIMS: Claims = { schemes: new Map(), places: new Map(), patterns: [], problems: [] };

/**
 * Compiles a recipe for a model: a pure function of both, nothing is read but names and shapes.
 * @throws TensorpressError PLAN with every finding, or NOT_BUILT when the recipe is right and its work does not exist yet
 */
export function compile(parsed: ParsedRecipe, model: Model): Plan {
  if (model.quantized) throw alreadyQuantized(model);
  const { recipe, plugins } = parsed;
  const findings: PlanFinding[] = [...unbuiltSections(recipe), ...evaluationFindings(recipe, model)];
  const ownModifiers = plugins.list.flatMap(({ modifiers }) => modifiers);
  const steps: Step[] = [];
  const decided: Decided = { schemes: new Map(), coders: new Map() };

  recipe.modifiers.forEach((entry, index) => {
    const [type, options] = Object.entries(entry)[0]!;
    const at = ['modifiers', index, type];
    const modifier = ownModifiers.find(own => own.type === type) ?? builtInModifier(type);
    if (modifier === undefined) {
      findings.push(notBuilt(at, type));
      return;
    }
    const adapt = modifier.inherits?.(options as never);
    const inherits = adapt !== undefined;
    const claims = inherits ? inherited(decided, adapt) : (modifier.schemes?.(options as never, model) ?? NO_CLAIMS);
    const { schemes, patterns: uses } = claims;
    const step: Step = { index, modifier, options, schemes, patterns: uses, flows: modifier.flows ?? false };
    steps.push(step);
    const found = inherits
      ? claims.problems
      : [
          ...claims.problems,
          ...checkSchemes(claims, model, observersOf(plugins)),
          ...keptOut(claims),
          ...claimedTwice(step, decided),
        ];
    findings.push(...found.map(finding => ({ ...finding, path: [...at, ...finding.path] })));
    for (const [name, scheme] of claims.schemes) {
      const given = decided.schemes.get(name);
      const whole = inherits
        ? { scheme: { ...given!.scheme, weights: scheme.weights }, step: given!.step }
        : { scheme, step };
      decided.schemes.set(name, whole);
      if (scheme.weights !== null) decided.coders.set(name, step);
    }
  });
  if (findings.some(({ level }) => level === 'error')) raise(findings, parsed, model);

  const outcome = outcomeOf(model, decided);
  const { parts, problems } = planParts(model, steps, decided.coders, outcome);
  checkObservations(model, parts, observersOf(plugins));
  findings.push(
    ...problems,
    ...calibrationFindings(recipe, model, steps, parts),
    ...cacheFindings(recipe, model, steps, outcome),
  );
  const warnings = raise(findings, parsed, model);
  return { recipe, plugins, model, steps, parts, outcome, warnings };
}

/** What the modifiers so far have decided. */
interface Decided {
  /** The scheme of a module, and who gave it. */
  readonly schemes: Map<string, { readonly scheme: ModuleScheme; readonly step: Step }>;
  /** Who makes a module's codes: who gave the scheme, or the last that inherited it. */
  readonly coders: Map<string, Step>;
}

/** The weights of every scheme so far; activations and cache stay with the modifier that gave them. */
function inherited({ schemes }: Decided, adapt: (weights: QuantizationArgs) => QuantizationArgs): Claims {
  const nothing = { input_activations: null, output_activations: null };
  const weights = [...schemes].flatMap(([name, { scheme }]) =>
    scheme.weights === null ? [] : [[name, { ...scheme, weights: adapt(scheme.weights), ...nothing }] as const],
  );
  const message = 'there is no scheme to inherit: no modifier before it quantizes a weight';
  return {
    ...NO_CLAIMS,
    schemes: new Map(weights),
    problems: weights.length > 0 ? [] : [{ level: 'error', path: [], message, hint: 'add scheme: W4A16' }],
  };
}

/** A modifier that finds modules and may quantize none of them would do nothing. */
function keptOut({ places, patterns: uses, problems }: Claims): PlanFinding[] {
  const targets = uses.filter(({ role }) => role === 'target');
  if (targets.length === 0 || places.size > 0 || problems.some(({ level }) => level === 'error')) return [];
  const message = 'ignore keeps out every module that the targets match: nothing would be quantized';
  return [{ level: 'error', path: ['ignore'], message, hint: 'take out what ignores too much' }];
}

function claimedTwice({ schemes }: Step, decided: Decided): PlanFinding[] {
  const twice = new Map<Step, string[]>();
  for (const name of schemes.keys()) {
    const earlier = decided.schemes.get(name)?.step;
    if (earlier !== undefined) twice.set(earlier, [...(twice.get(earlier) ?? []), name]);
  }
  return [...twice].map(([{ index, modifier }, names]) => {
    const before = `modifier ${index + 1} (${modifier.type}) gives a scheme already`;
    if (names.every(name => schemes.get(name)!.attention !== undefined)) {
      const message = `${patterns(names)}: ${before}, and a cache has one`;
      return { level: 'error', path: ['kv_cache_scheme'], message, hint: 'leave it to one of the two modifiers' };
    }
    return {
      level: 'error',
      path: [],
      message: `${patterns(names)}: ${before}`,
      hint: 'let the targets of the two modifiers exclude each other, or ignore these modules in one of them',
    };
  });
}

/** Tied embeddings stay one tensor when both sides are left as they are or get the same codes; otherwise they are separated. */
function outcomeOf(model: Model, { schemes: given, coders }: Decided): Outcome {
  const schemes = new Map<string, ModuleScheme>();
  const joined = new Map<string, string>();
  let tied = model.tied;
  for (const { name, weight } of model.modules) {
    const scheme = given.get(name)?.scheme;
    if (scheme !== undefined) schemes.set(name, scheme);
    if (weight?.tiedTo === undefined) continue;
    const owner = given.get(weight.tiedTo)?.scheme;
    const alike = codesAlike([scheme, coders.get(name)], [owner, coders.get(weight.tiedTo)]);
    if (alike) joined.set(name, weight.tiedTo);
    else tied = false;
  }
  return { schemes, cache: cacheOf(model, schemes), tied, joined };
}

/** What all attention modules have in common. */
function cacheOf(model: Model, schemes: Outcome['schemes']): Outcome['cache'] {
  const caches = cachedAttention(model).map(({ name }) => schemes.get(name)?.attention?.cache ?? null);
  const [first = null] = caches;
  return caches.every(args => sameArgs(args, first)) ? first : null;
}
