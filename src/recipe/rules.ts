import type { OtherObservers } from '../schemes/observer-names.js';
import { isRecord } from '../schemes/problem.js';
import { compilePattern } from '../schemes/targets.js';
import { choices, type Report } from './findings.js';
import { locate, toJs, type Node, type Path } from './nodes.js';
import { quantizerProblems } from './quantizer-rules.js';
import type { Broken, Context, IsSound, Modifier, Options } from './rule.js';
import { suggest } from '../schemes/suggest.js';

const QUANTIZERS = ['QuantizationModifier', 'GPTQModifier', 'AutoRoundModifier'];

/**
 * Checks what fields say together, which a schema cannot express. Values that the schema already refused are left alone.
 *
 * @param recipe the recipe in normal form
 * @param refused paths of the errors that the schema found
 * @param node the recipe as it is written
 * @param observers those of plugins
 */
export function checkRules(
  recipe: unknown,
  refused: readonly Path[],
  node: Node,
  report: Report,
  observers: OtherObservers = {},
): void {
  const isSound: IsSound = path => !refused.some(other => startsWith(other, path) || startsWith(path, other));
  const isRefused = new Set(refused.map(path => JSON.stringify(path)));
  if (!isRecord(recipe)) return;
  const entries = Array.isArray(recipe['modifiers']) ? recipe['modifiers'].filter(isRecord) : [];
  const modifiers = entries.map((entry): Modifier => {
    const [type, options] = Object.entries(entry)[0]!;
    return [type, isRecord(options) ? options : {}];
  });
  const problems = [
    ...modifiers.flatMap((modifier, index) => {
      const base = ['modifiers', index, modifier[0]];
      const context = {
        before: modifiers.slice(0, index),
        after: modifiers.slice(index + 1),
        observers,
        open: Array.isArray(recipe['plugins']) && recipe['plugins'].length > 0,
        isSound: (path: Path) => isSound([...base, ...path]),
      };
      return modifierProblems(modifier, context).map(problem => ({ ...problem, path: [...base, ...problem.path] }));
    }),
    ...outputProblems(recipe['outputs']),
    ...evaluationProblems(recipe['evaluation']),
  ];
  for (const { code, path, message, hint, candidates } of problems) {
    if (path.some((_, i) => isRefused.has(JSON.stringify(path.slice(0, i + 1))))) continue;
    const { node: found, key, exact } = locate(node, path);
    const value = toJs(found);
    const suggestion = exact && typeof value === 'string' ? suggest(value, candidates ?? []) : undefined;
    report({
      code,
      message,
      hint: suggestion === undefined ? hint : choices(suggestion),
      at: exact && found.kind === 'scalar' ? found.at : key,
    });
  }
}

function modifierProblems(modifier: Modifier, context: Context): Broken[] {
  const { after, open } = context;
  const [type, options] = modifier;
  const problems = patternProblems(options);
  if (QUANTIZERS.includes(type)) problems.push(...quantizerProblems(modifier, context));
  if (type === 'AWQModifier' && !open && !after.some(([next]) => QUANTIZERS.includes(next))) {
    const hint = 'add a QuantizationModifier or GPTQModifier after it';
    problems.push({
      code: 'awq-alone',
      path: [],
      message: 'AWQModifier only rescales, and no quantization modifier follows it',
      hint,
    });
  }
  if (type === 'SparseGPTModifier' || type === 'WandaPruningModifier') problems.push(...pruningProblems(options));
  return problems;
}

function pruningProblems({
  sparsity_profile: profile,
  owl_m: m,
  owl_lmbda: lambda,
  mask_structure: mask,
}: Options): Broken[] {
  const problems: Broken[] = [];
  const given = [profile, m, lambda].filter(value => value !== undefined).length;
  if (given !== 0 && given !== 3) {
    const path = [profile !== undefined ? 'sparsity_profile' : m !== undefined ? 'owl_m' : 'owl_lmbda'];
    const hint = 'give sparsity_profile: owl, owl_m and owl_lmbda, or none of them';
    problems.push({ code: 'incomplete-owl', path, message: 'the owl profile needs three fields together', hint });
  }
  const [n, of] = typeof mask === 'string' ? mask.split(':').map(Number) : [];
  if (n !== undefined && of !== undefined && n > of) {
    problems.push({
      code: 'malformed',
      path: ['mask_structure'],
      message: `mask_structure ${String(mask)} zeroes ${n} of ${of} weights`,
      hint: 'for example "2:4"',
    });
  }
  return problems;
}

/** Whatever starts with `re:` is a regular expression, wherever it stands. */
function patternProblems(value: unknown, path: Path = []): Broken[] {
  if (typeof value === 'string' && value.startsWith('re:')) {
    const { problem } = compilePattern(value);
    return problem === undefined ? [] : [{ code: 'bad-pattern', path, message: problem }];
  }
  if (Array.isArray(value)) return value.flatMap((item, i) => patternProblems(item, [...path, i]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => patternProblems(member, [...path, key]));
}

function evaluationProblems(evaluation: unknown): Broken[] {
  if (!isRecord(evaluation) || evaluation['prompts'] === undefined || evaluation['generate'] !== undefined) return [];
  return [
    {
      code: 'nothing-generated',
      path: ['evaluation', 'prompts'],
      message: 'there are prompts, but nothing is to be generated',
      hint: 'say how many tokens: generate: 48',
    },
  ];
}

/** A second checkpoint needs a folder of its own, and no two outputs may share a name. */
function outputProblems(outputs: unknown): Broken[] {
  const list = Array.isArray(outputs) ? outputs.map(output => (isRecord(output) ? output : {})) : [];
  const checkpoints = list.flatMap((output, i) => (output['format'] === 'compressed-tensors' ? [i] : []));
  return list.flatMap((output, i): Broken[] => {
    const { format, name, type } = output;
    if (name === undefined && checkpoints.indexOf(i) > 0) {
      const hint = 'add a name: it becomes the name of a folder inside the output folder';
      return [
        {
          code: 'missing-field',
          path: ['outputs', i],
          message: 'a second compressed-tensors output needs a name',
          hint,
        },
      ];
    }
    const twin = list.findIndex(
      other => other['format'] === format && other['name'] === name && other['type'] === type,
    );
    if (twin < 0 || twin >= i || format === undefined) return [];
    return [
      {
        code: 'repeated',
        path: ['outputs', i],
        message: `output ${i + 1} would be written over output ${twin + 1}`,
        hint: 'give it another name',
      },
    ];
  });
}

function startsWith(path: Path, head: Path): boolean {
  return head.every((step, i) => path[i] === step);
}
