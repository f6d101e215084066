import type { Claims, ModuleScheme } from '../modifiers/modifier.js';
import { builtInModifier } from '../modifiers/table.js';
import { weightedModules, type Model, type Part } from '../runtime/model/model.js';
import { patterns } from '../runtime/model/untouched.js';
import { sameArgs } from '../schemes/args.js';
import { checkSchemes } from './check-schemes.js';
import {
  alreadyQuantized,
  evaluationFindings,
  notBuilt,
  raise,
  unbuiltSections,
  type PlanFinding,
} from './plan-findings.js';
import type { Outcome, PartWork, Plan, Step } from './plan.js';
import type { ParsedRecipe } from './recipe.js';

const NO_CLAIMS: Claims = { schemes: new Map(), places: new Map(), patterns: [], problems: [] };

/**
 * Compiles a recipe for a model: a pure function of both, nothing is read but names and shapes.
 * @throws TensorpressError PLAN with every finding, or NOT_BUILT when the recipe is right and its work does not exist yet
 */
export function compile(parsed: ParsedRecipe, model: Model): Plan {
  if (model.quantized) throw alreadyQuantized(model);
  const { recipe } = parsed;
  const findings: PlanFinding[] = [...unbuiltSections(recipe), ...evaluationFindings(recipe, model)];
  const steps: Step[] = [];
  const decided = new Map<string, Step>();

  recipe.modifiers.forEach((entry, index) => {
    const [type, options] = Object.entries(entry)[0]!;
    const at = ['modifiers', index, type];
    const modifier = builtInModifier(type);
    if (modifier === undefined) {
      findings.push(notBuilt(at, type));
      return;
    }
    if (options['kv_cache_scheme'] !== undefined)
      findings.push(notBuilt([...at, 'kv_cache_scheme'], 'kv_cache_scheme'));
    const claims = modifier.schemes?.(options as never, model) ?? NO_CLAIMS;
    const step: Step = { index, modifier, options, schemes: claims.schemes, patterns: claims.patterns };
    steps.push(step);
    const found = [
      ...claims.problems,
      ...checkSchemes(claims, model),
      ...keptOut(claims),
      ...claimedTwice(step, decided),
    ];
    findings.push(...found.map(finding => ({ ...finding, path: [...at, ...finding.path] })));
    for (const name of claims.schemes.keys()) decided.set(name, step);
  });

  const warnings = raise(findings, parsed, model);
  const outcome = outcomeOf(model, decided);
  return { recipe, model, steps, parts: model.parts.map(part => partWork(part, steps, outcome)), outcome, warnings };
}

/** A modifier that finds modules and may quantize none of them would do nothing. */
function keptOut({ places, patterns: uses, problems }: Claims): PlanFinding[] {
  const targets = uses.filter(({ role }) => role === 'target');
  if (targets.length === 0 || places.size > 0 || problems.some(({ level }) => level === 'error')) return [];
  const message = 'ignore keeps out every module that the targets match: nothing would be quantized';
  return [{ level: 'error', path: ['ignore'], message, hint: 'take out what ignores too much' }];
}

function claimedTwice({ schemes }: Step, decided: ReadonlyMap<string, Step>): PlanFinding[] {
  const twice = new Map<Step, string[]>();
  for (const name of schemes.keys()) {
    const earlier = decided.get(name);
    if (earlier !== undefined) twice.set(earlier, [...(twice.get(earlier) ?? []), name]);
  }
  return [...twice].map(([{ index, modifier }, names]) => ({
    level: 'error',
    path: [],
    message: `${patterns(names)}: modifier ${index + 1} (${modifier.type}) gives a scheme already`,
    hint: 'let the targets of the two modifiers exclude each other, or ignore these modules in one of them',
  }));
}

function partWork(part: Part, steps: readonly Step[], { joined }: Outcome): PartWork {
  const work = steps
    .map(step => ({
      step,
      codes: step.modifier.plan(step.options as never, part, step.schemes).codes?.filter(name => !joined.has(name)) ?? [],
    }))
    .filter(({ codes }) => codes.length > 0);
  const coded = new Set(work.flatMap(({ codes }) => codes));
  const replaced = new Set(
    part.modules.flatMap(({ name, weight }) => (weight && coded.has(name) ? [weight.tensor] : [])),
  );
  const separated = part.modules.flatMap(({ name, weight }) =>
    weight?.tiedTo !== undefined && !joined.has(name) && !coded.has(name)
      ? [{ tensor: weight.tensor, as: `${name}.weight` }]
      : [],
  );
  return {
    part,
    steps: work,
    copies: [...part.tensors.filter(t => !replaced.has(t)).map(t => ({ tensor: t, as: t })), ...separated],
  };
}

/** Tied embeddings stay one tensor when both sides are left as they are or treated alike; otherwise they are separated. */
function outcomeOf(model: Model, decided: ReadonlyMap<string, Step>): Outcome {
  const schemes = new Map<string, ModuleScheme>();
  const joined = new Map<string, string>();
  let tied = model.tied;
  for (const { name, weight } of weightedModules(model)) {
    const scheme = decided.get(name)?.schemes.get(name);
    if (scheme !== undefined) schemes.set(name, scheme);
    if (weight.tiedTo === undefined) continue;
    if (treatedAlike(name, weight.tiedTo, decided)) joined.set(name, weight.tiedTo);
    else tied = false;
  }
  return { schemes, tied, joined };
}

/** Two modules of one weight get the same codes, or none. */
function treatedAlike(a: string, b: string, decided: ReadonlyMap<string, Step>): boolean {
  const [stepA, stepB] = [decided.get(a), decided.get(b)];
  const [x, y] = [stepA?.schemes.get(a), stepB?.schemes.get(b)];
  if (!x?.weights || !y?.weights) return !x?.weights && !y?.weights;
  const sameWork = stepA!.modifier === stepB!.modifier && stepA!.options['arithmetic'] === stepB!.options['arithmetic'];
  return sameWork && sameArgs(x.weights, y.weights) && x.format === y.format;
}
