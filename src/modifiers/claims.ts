import { inferFormat } from '../schemes/formats.js';
import { preset } from '../schemes/presets.js';
import { normalizeScheme, sameScheme } from '../schemes/scheme.js';
import { compilePattern, matches, type Pattern, type MatchedBy } from '../schemes/targets.js';
import type { QuantizationScheme } from '../schemes/args.js';
import type { Model, Module } from '../runtime/model/model.js';
import type { Claims, ModuleScheme, PatternUse, Problem } from './modifier.js';

/** The fields by which QuantizationModifier and GPTQModifier say which module gets which scheme. */
export interface SchemeOptions {
  scheme?: string | Readonly<Record<string, string | readonly string[]>>;
  config_groups?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  targets?: string | readonly string[];
  ignore?: string | readonly string[];
  kv_cache_scheme?: Readonly<Record<string, unknown>> | null;
  weight_observer?: string | null;
  input_observer?: string | null;
  output_observer?: string | null;
  observer?: Readonly<{ weights?: string; input?: string; output?: string }> | null;
}

type Path = readonly (string | number)[];

interface Target {
  readonly pattern: Pattern;
  readonly path: Path;
  readonly scheme: QuantizationScheme;
}

const RANKS: readonly MatchedBy[] = ['name', 'regex', 'class'];

/**
 * Decides the scheme of every module: full names win over regular expressions, those over classes (as in compressed-tensors); two different
 * schemes on the same rank are an error, because there the reference decides by alphabet.
 */
export function claimSchemes(options: SchemeOptions, model: Model): Claims {
  const problems: Problem[] = [];
  const targets = groupsOf(options, problems).flatMap(({ scheme, path }) =>
    scheme.targets.map((text, i) => ({ pattern: compilePattern(text), path: path(i), scheme })),
  );
  const ignore = list(options.ignore).map((text, i) => ({
    pattern: compilePattern(text),
    path: ['ignore', i] as Path,
  }));

  const schemes = new Map<string, ModuleScheme>();
  const won = new Map<Target, number>();
  const kept = new Map<(typeof ignore)[number], number>();
  for (const module of model.modules) {
    if (module.weight === undefined) continue;
    const candidates = targets
      .map(target => ({ target, rank: matches(target.pattern, module) }))
      .filter((c): c is { target: Target; rank: MatchedBy } => c.rank !== undefined);
    const out = ignore.find(({ pattern }) => matches(pattern, module) !== undefined);
    if (out !== undefined) {
      if (candidates.length > 0) kept.set(out, (kept.get(out) ?? 0) + 1);
      continue;
    }
    const best = RANKS.find(rank => candidates.some(c => c.rank === rank));
    const rivals = candidates
      .filter(c => c.rank === best)
      .map(c => c.target)
      .sort((a, b) => (a.pattern.text < b.pattern.text ? -1 : a.pattern.text > b.pattern.text ? 1 : 0));
    const [winner] = rivals;
    if (winner === undefined) continue;
    const rival = rivals.find(r => !sameScheme(r.scheme, winner.scheme));
    if (rival !== undefined) {
      problems.push({
        level: 'error',
        path: rival.path,
        message: `${module.name} is matched by "${winner.pattern.text}" and by "${rival.pattern.text}", which give it different schemes`,
        hint: 'name the module in full in one group, or make the patterns exclude each other',
      });
      continue;
    }
    won.set(winner, (won.get(winner) ?? 0) + 1);
    // a group without any args (UNQUANTIZED) keeps its modules as they are
    if (isEmpty(winner.scheme)) continue;
    schemes.set(module.name, moduleScheme(winner));
  }

  const patterns: PatternUse[] = [];
  for (const target of targets) {
    const matched = model.modules.filter(module => matches(target.pattern, module) !== undefined);
    const eligible = matched.filter(module => module.weight !== undefined);
    if (eligible.length === 0) problems.push(unmatched(target, matched, model));
    patterns.push({
      pattern: target.pattern.text,
      role: 'target',
      matched: eligible.length,
      decided: won.get(target) ?? 0,
    });
  }
  for (const entry of ignore) {
    const matched = model.modules.filter(module => matches(entry.pattern, module) !== undefined);
    if (matched.length === 0) problems.push(ignoresNothing(entry, model));
    patterns.push({
      pattern: entry.pattern.text,
      role: 'ignore',
      matched: matched.length,
      decided: kept.get(entry) ?? 0,
    });
  }
  return { schemes, patterns, problems: collapse(problems) };
}

/** The groups of the options, whichever way they are written, each with the place of its targets. */
function groupsOf(options: SchemeOptions, problems: Problem[]) {
  const groups: { scheme: QuantizationScheme; path: (target: number) => Path }[] = [];
  const add = (scheme: QuantizationScheme | undefined, path: (target: number) => Path) => {
    if (scheme !== undefined) groups.push({ scheme: withObservers(scheme, options), path });
  };
  if (typeof options.scheme === 'string') {
    add(preset(options.scheme, list(options.targets ?? ['Linear'])), i => ['targets', i]);
  } else if (options.scheme !== undefined) {
    for (const [name, targets] of Object.entries(options.scheme)) {
      add(preset(name, list(targets)), i => ['scheme', name, i]);
    }
  }
  for (const [name, raw] of Object.entries(options.config_groups ?? {})) {
    const result = normalizeScheme(raw);
    if (result.problems !== undefined) {
      for (const { path, message } of result.problems) {
        problems.push({ level: 'error', path: ['config_groups', name, ...path], message });
      }
    } else {
      add(result.scheme, i => ['config_groups', name, 'targets', i]);
    }
  }
  return groups;
}

function withObservers(scheme: QuantizationScheme, options: SchemeOptions): QuantizationScheme {
  const override = (
    slot: 'weights' | 'input_activations' | 'output_activations',
    observer: string | null | undefined,
  ) => {
    const args = scheme[slot];
    // a fully dynamic slot has no observer to override
    return args === null || observer == null || args.dynamic === true ? args : { ...args, observer };
  };
  return {
    ...scheme,
    weights: override('weights', options.weight_observer ?? options.observer?.weights),
    input_activations: override('input_activations', options.input_observer ?? options.observer?.input),
    output_activations: override('output_activations', options.output_observer ?? options.observer?.output),
  };
}

function isEmpty({ weights, input_activations, output_activations }: QuantizationScheme): boolean {
  return weights === null && input_activations === null && output_activations === null;
}

function moduleScheme({ scheme, pattern }: Target): ModuleScheme {
  const { weights, input_activations, output_activations, targets } = scheme;
  const format = inferFormat(scheme);
  return { weights, input_activations, output_activations, format, targets, target: pattern.text };
}

function unmatched({ pattern, path }: Target, matched: readonly Module[], model: Model): Problem {
  const [first] = matched;
  if (first !== undefined) {
    return {
      level: 'error',
      path,
      message: `"${pattern.text}" matches only modules that cannot be quantized (${first.name} is a ${first.classes[0] ?? 'module'})`,
      hint: 'only Linear and Embedding weights take a scheme',
    };
  }
  return {
    level: 'error',
    path,
    message: `"${pattern.text}" matches no module of this model`,
    hint: nearestHint(pattern, model),
  };
}

function ignoresNothing({ pattern, path }: { pattern: Pattern; path: Path }, model: Model): Problem {
  // a regular expression is often written for several models; a full name is meant
  const level = pattern.regex !== null ? 'warning' : 'error';
  return {
    level,
    path,
    message: `"${pattern.text}" in ignore matches no module of this model`,
    hint: nearestHint(pattern, model),
  };
}

function nearestHint(pattern: Pattern, model: Model): string {
  const wanted = pattern.text.replace(/^re:/, '').replace(/[\\^$.*+?()[\]{}|]/g, '');
  const names = model.modules
    .filter(module => module.weight !== undefined)
    .flatMap(m => [m.name, m.name.split('.').at(-1)!]);
  const best = [...new Set([...names, ...model.modules.map(m => m.classes[0] ?? '')])]
    .map(name => ({ name, score: similarity(wanted, name) }))
    .sort((a, b) => b.score - a.score)[0];
  const example = best !== undefined && best.score > 0.4 ? `did you mean "${best.name}"? ` : '';
  return `${example}names are matched whole, re: patterns from the start of the name, classes exactly`;
}

/** Dice coefficient of the letter pairs of two names, 0...1. */
function similarity(a: string, b: string): number {
  const pairs = (s: string) => new Set(Array.from({ length: Math.max(0, s.length - 1) }, (_, i) => s.slice(i, i + 2)));
  const [p, q] = [pairs(a), pairs(b)];
  const common = [...p].filter(pair => q.has(pair)).length;
  return p.size + q.size === 0 ? 0 : (2 * common) / (p.size + q.size);
}

/** One conflict between two patterns usually concerns many modules: keep the first of each and count the rest. */
function collapse(problems: readonly Problem[]): Problem[] {
  const byPlace = new Map<string, Problem[]>();
  for (const problem of problems) {
    const key = JSON.stringify([problem.path, problem.level]);
    byPlace.set(key, [...(byPlace.get(key) ?? []), problem]);
  }
  return [...byPlace.values()].map(([first, ...rest]) =>
    rest.length === 0 ? first! : { ...first!, message: `${first!.message} (and ${rest.length} more)` },
  );
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}
