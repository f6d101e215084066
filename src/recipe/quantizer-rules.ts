import { actorderOf, normalizeArgs, type QuantizationArgs } from '../schemes/args.js';
import type { OtherObservers } from '../schemes/observer-names.js';
import { isRecord, under, type Problem } from '../schemes/problem.js';
import { normalizeScheme } from '../schemes/scheme.js';
import type { Broken, Context, IsSound, Modifier, Options } from './rule.js';

/** What is wrong with the fields by which a modifier says which module is quantized how; paths start at its options. */
export function quantizerProblems(modifier: Modifier, { before, open, isSound, observers }: Context): Broken[] {
  const [type, options] = modifier;
  return [
    ...exclusions(options),
    ...schemeProblems(options, isSound, observers),
    ...(isSound([]) ? missingScheme(modifier, before, open) : []),
    ...(type === 'GPTQModifier' ? actorderConflicts(options, isSound) : []),
  ];
}

function exclusions(options: Options): Broken[] {
  const pairs = [
    ['config_groups', 'scheme'],
    ...['weight_observer', 'input_observer', 'output_observer'].map(field => [field, 'observer']),
  ];
  return pairs
    .filter(pair => pair.every(field => options[field] !== undefined))
    .map(([field, other]) => ({
      code: 'exclusive-fields',
      path: [field!],
      message: `${field!} and ${other!} exclude each other`,
      hint: 'keep one of them',
    }));
}

function schemeProblems(
  { scheme, config_groups: groups, kv_cache_scheme: cache, targets }: Options,
  isSound: IsSound,
  observers: OtherObservers,
): Broken[] {
  const problems: Broken[] = [];
  for (const [name, group] of Object.entries(isRecord(groups) ? groups : {})) {
    if (!isSound(['config_groups', name])) continue;
    problems.push(...coded(under('config_groups', under(name, normalizeScheme(group, { observers }).problems ?? []))));
  }
  if (cache !== undefined && isSound(['kv_cache_scheme'])) {
    problems.push(...coded(under('kv_cache_scheme', normalizeArgs(cache, { observers }).problems ?? [])));
  }
  // llm-compressor writes `targets: [Linear]` beside config_groups, where it has no effect; other targets there would be lost in silence
  const harmless = [
    ['Linear'],
    Object.values(isRecord(groups) ? groups : {}).flatMap(group => (isRecord(group) ? group['targets'] : [])),
  ];
  if (
    isRecord(groups) &&
    scheme === undefined &&
    targets !== undefined &&
    !harmless.some(list => sameSet(list, targets))
  ) {
    const hint = 'move them into config_groups';
    problems.push({
      code: 'targets-unused',
      path: ['targets'],
      message: 'targets belong to a scheme; groups have targets of their own',
      hint,
    });
  }
  return problems;
}

/** A GPTQModifier that says nothing inherits; everything else without a scheme would do nothing. */
function missingScheme([type, options]: Modifier, before: readonly Modifier[], open: boolean): Broken[] {
  if (givesScheme(options) || options['kv_cache_scheme'] !== undefined) return [];
  const hint = 'add scheme: W4A16, or config_groups';
  if (type !== 'GPTQModifier')
    return [{ code: 'no-scheme', path: [], message: `${type} has no scheme: nothing would be quantized`, hint }];
  if (options['targets'] !== undefined || options['ignore'] !== undefined) {
    const inherit = 'without targets and ignore it takes the schemes of an earlier modifier';
    return [
      {
        code: 'no-scheme',
        path: [],
        message: 'GPTQModifier has targets or ignore, but no scheme for them',
        hint: `${hint}; ${inherit}`,
      },
    ];
  }
  if (open || before.some(([, earlier]) => givesScheme(earlier))) return [];
  return [
    { code: 'no-scheme', path: [], message: 'GPTQModifier has no scheme, and no modifier before it gives one', hint },
  ];
}

function givesScheme({ scheme, config_groups: groups }: Options): boolean {
  return scheme !== undefined || (isRecord(groups) && Object.keys(groups).length > 0);
}

function actorderConflicts({ actorder, config_groups: groups }: Options, isSound: IsSound): Broken[] {
  if (actorder === undefined || !isSound(['actorder'])) return [];
  const own = actorder as QuantizationArgs['actorder'];
  return Object.entries(isRecord(groups) ? groups : {}).flatMap(([name, group]) => {
    const weights = isSound(['config_groups', name])
      ? normalizeScheme(group, { observers: 'any' }).scheme?.weights
      : undefined;
    if (weights == null || weights.actorder === null) return [];
    if (actorderOf(weights) === actorderOf({ ...weights, actorder: own })) return [];
    const message = `actorder is ${own} on the modifier and ${weights.actorder} here`;
    return [
      {
        code: 'actorder-conflict',
        path: ['config_groups', name, 'weights', 'actorder'],
        message,
        hint: 'keep one of them',
      },
    ];
  });
}

function coded(problems: readonly Problem[]): Broken[] {
  return problems.map(problem => ({ code: 'scheme', ...problem }));
}

function sameSet(a: unknown, b: unknown): boolean {
  return Array.isArray(a) && Array.isArray(b) && a.every(item => b.includes(item)) && b.every(item => a.includes(item));
}
