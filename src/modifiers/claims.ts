import type { Model, Module } from '../runtime/model/model.js';
import { patterns as summary } from '../runtime/model/untouched.js';
import type { QuantizationScheme } from '../schemes/args.js';
import { inferFormat } from '../schemes/formats.js';
import { quantizesInputsOnly, sameScheme } from '../schemes/scheme.js';
import { compilePattern, matches, RANKS, type Pattern } from '../schemes/targets.js';
import { cachedAttention, claimAttention } from './attention.js';
import { readTargets, type SchemeOptions, type Target } from './groups.js';
import type { Claims, ModuleScheme, OptionPath, PatternUse, Problem } from './modifier.js';
import { meant } from './meant.js';

/** A pattern of the recipe and what it did. */
interface Used {
  readonly pattern: Pattern;
  readonly path: OptionPath;
  /** Modules that it matches. */
  readonly modules: Module[];
  decided: number;
}

/**
 * Decides the scheme of every module: full names win over regular expressions, those over classes (as in compressed-tensors); two different
 * schemes on the same rank are an error, because there the reference decides by alphabet. Every pattern has to match something.
 */
export function claimSchemes(options: SchemeOptions, model: Model): Claims {
  const { targets: listed, problems } = readTargets(options);
  const targets = listed.map((target): Target & Used => ({ ...target, modules: [], decided: 0 }));
  const ignore = (options.ignore ?? []).map((text, i): Used => ({
    pattern: compilePattern(text),
    path: ['ignore', i],
    modules: [],
    decided: 0,
  }));
  const schemes = new Map<string, ModuleScheme>();
  const places = new Map<string, OptionPath>();
  const conflicts = new Conflicts();
  const attention = new Set(cachedAttention(model));

  for (const module of model.modules) {
    const matching = targets.flatMap(target => {
      const rank = matches(target.pattern, module);
      return rank === undefined ? [] : [{ target, rank }];
    });
    const ignored = ignore.filter(({ pattern }) => matches(pattern, module) !== undefined);
    for (const { modules } of [...matching.map(({ target }) => target), ...ignored]) modules.push(module);
    const forAttention = attention.has(module)
      ? matching.find(({ target }) => quantizesInputsOnly(target.scheme))
      : undefined;
    if (matching.length === 0 || (module.weight ?? forAttention) === undefined) continue;
    if (ignored[0] !== undefined) {
      ignored[0].decided++;
      continue;
    }
    const best = RANKS.find(rank => matching.some(candidate => candidate.rank === rank));
    const rivals = matching.filter(({ rank }) => rank === best).map(({ target }) => target);
    const winner = rivals.reduce((first, other) => (other.pattern.text < first.pattern.text ? other : first));
    // readers look for one group; it must not be one that was meant for the Linears of an attention module
    const meantFor = attention.has(module) && !quantizesInputsOnly(winner.scheme) ? forAttention?.target : undefined;
    const rival = meantFor ?? rivals.find(({ scheme }) => !saysTheSame(scheme, winner.scheme));
    if (rival !== undefined) {
      conflicts.add(module, winner, rival);
      continue;
    }
    winner.decided++;
    places.set(module.name, winner.group);
    // a group without any args (UNQUANTIZED) keeps its modules as they are
    if (!isEmpty(winner.scheme)) schemes.set(module.name, moduleScheme(winner));
  }

  const ofAttention = claimAttention(options, model, schemes);
  for (const [name, scheme] of ofAttention.schemes) schemes.set(name, scheme);
  for (const [name, place] of ofAttention.places) places.set(name, place);
  const takes = (module: Module, scheme: QuantizationScheme) =>
    module.weight !== undefined || (attention.has(module) && quantizesInputsOnly(scheme));

  return {
    schemes,
    places,
    patterns: [
      ...targets.map(target => useOf('target', target, module => takes(module, target.scheme))),
      ...ignore.map(entry => useOf('ignore', entry, () => true)),
    ],
    problems: [
      ...problems,
      ...ofAttention.problems,
      ...conflicts.problems(),
      ...targets.flatMap(target => targetProblems(target, model, module => takes(module, target.scheme))),
      ...ignore.flatMap(entry => ignoreProblems(entry, model)),
    ],
  };
}

/** Whether it makes no difference which of the two a module gets; the targets of its group are only written down. */
function saysTheSame(a: QuantizationScheme, b: QuantizationScheme): boolean {
  return sameScheme(a, { ...b, targets: a.targets });
}

function isEmpty({ weights, input_activations, output_activations }: QuantizationScheme): boolean {
  return weights === null && input_activations === null && output_activations === null;
}

function moduleScheme({ scheme, pattern }: Target): ModuleScheme {
  const { weights, input_activations, output_activations, targets } = scheme;
  const format = inferFormat(scheme);
  return { weights, input_activations, output_activations, format, targets, target: pattern.text };
}

function useOf(
  role: PatternUse['role'],
  { pattern, modules, decided }: Used,
  counts: (module: Module) => boolean,
): PatternUse {
  return { pattern: pattern.text, role, matched: modules.filter(counts).length, decided };
}

function targetProblems(
  { pattern: { text }, path, modules }: Target & Used,
  model: Model,
  takes: (module: Module) => boolean,
): Problem[] {
  if (modules.some(takes)) return [];
  const [first] = modules;
  if (first === undefined) {
    return [{ level: 'error', path, message: `"${text}" matches no module of this model`, hint: meant(text, model) }];
  }
  if (cachedAttention(model).includes(first)) {
    const message = `"${text}" matches attention, which takes input_activations and nothing else`;
    const hint = `give its Linears a scheme: write "re:.*${first.name.split('.').at(-1)}\\..*"`;
    return [{ level: 'error', path, message, hint }];
  }
  const kind = first.classes[0] ?? 'Module';
  const why =
    kind === 'Linear' || kind === 'Embedding'
      ? 'is outside the language model, or no matrix of float numbers'
      : `is a ${kind}`;
  return [
    {
      level: 'error',
      path,
      message: `"${text}" matches only modules that cannot be quantized: ${first.name || 'the model itself'} ${why}`,
      hint: 'readers take codes for Linear and Embedding weights only',
    },
  ];
}

/** A regular expression is often written for several models; a name is meant. */
function ignoreProblems({ pattern: { text, regex }, path, modules }: Used, model: Model): Problem[] {
  if (modules.length > 0) return [];
  const level = regex === null ? 'error' : 'warning';
  return [{ level, path, message: `"${text}" in ignore matches no module of this model`, hint: meant(text, model) }];
}

/** Modules that two patterns of the same rank give different schemes, by the two patterns. */
class Conflicts {
  readonly #found = new Map<string, { winner: Target; rival: Target; modules: string[] }>();

  add({ name }: Module, winner: Target, rival: Target): void {
    const key = JSON.stringify([winner.path, rival.path]);
    const found = this.#found.get(key) ?? { winner, rival, modules: [] };
    this.#found.set(key, found);
    found.modules.push(name);
  }

  problems(): Problem[] {
    return [...this.#found.values()].map(({ winner, rival, modules }) => ({
      level: 'error',
      path: rival.path,
      message: `${summary(modules)}: "${winner.pattern.text}" and "${rival.pattern.text}" match alike and give different schemes`,
      hint: 'let the patterns exclude each other, or name the module in full in one of them',
    }));
  }
}
