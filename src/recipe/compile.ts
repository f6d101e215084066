import { TensorpressError, type Diagnostic } from '../errors.js';
import { weightFormat } from '../formats/weights/table.js';
import type { ModuleScheme, Problem } from '../modifiers/modifier.js';
import { builtInModifier } from '../modifiers/table.js';
import { weightObserver } from '../observers/table.js';
import { weightedModules, type Model, type Part } from '../runtime/model/model.js';
import { sameArgs } from '../schemes/args.js';
import { divisibilityProblem, weightArgsProblem } from '../schemes/grids.js';
import type { Outcome, PartWork, Plan, Step } from './plan.js';
import type { ParsedRecipe } from './recipe.js';

/** A finding with its path from the recipe's root. */
type Finding = Problem;

/**
 * Compiles a recipe for a model: a pure function of both, nothing is read but names and shapes.
 * @throws TensorpressError PLAN with every finding, or NOT_BUILT when the recipe is right and its work does not exist yet
 */
export function compile(parsed: ParsedRecipe, model: Model): Plan {
  const { recipe } = parsed;
  const findings: Finding[] = [...unbuiltSections(parsed), ...sourceProblems(model)];
  const steps: Step[] = [];
  const decided = new Map<string, { scheme: ModuleScheme; step: Step }>();

  recipe.modifiers.forEach((entry, index) => {
    const [type, options] = Object.entries(entry)[0]!;
    const at = ['modifiers', index, type];
    const modifier = builtInModifier(type);
    if (modifier === undefined) {
      findings.push(notBuilt(at, type));
      return;
    }
    const claims = modifier.schemes?.(options as never, model) ?? { schemes: new Map(), patterns: [], problems: [] };
    findings.push(...claims.problems.map(problem => ({ ...problem, path: [...at, ...problem.path] })));
    findings.push(...unbuiltOptions(options, at));
    const step: Step = { index, modifier, options, schemes: claims.schemes, patterns: claims.patterns };
    steps.push(step);
    for (const [name, scheme] of claims.schemes) {
      const earlier = decided.get(name);
      if (earlier !== undefined) {
        findings.push({
          level: 'error',
          path: at,
          message: `${name} already has a scheme from modifier ${earlier.step.index + 1} (${earlier.step.modifier.type})`,
          hint: 'let the targets of the two modifiers exclude each other',
        });
      }
      decided.set(name, { scheme, step });
    }
    if (
      claims.schemes.size === 0 &&
      claims.problems.every(({ level }) => level !== 'error') &&
      options['kv_cache_scheme'] == null
    ) {
      findings.push({
        level: 'error',
        path: at,
        message: 'no module is left to quantize: ignore keeps out everything that the targets match',
      });
    }
    findings.push(...checkSchemes(step, model, at));
  });

  const { errors, warnings } = sortOut(findings, parsed);
  if (errors.length > 0) throw planError(errors, findings, parsed, model);

  const schemes = new Map(
    weightedModules(model).flatMap(({ name }) => (decided.has(name) ? [[name, decided.get(name)!.scheme]] : [])),
  );
  const outcome = outcomeOf(model, schemes);
  return { recipe, model, steps, parts: model.parts.map(part => partWork(part, steps, outcome)), outcome, warnings };
}

function partWork(part: Part, steps: readonly Step[], { joined }: Outcome): PartWork {
  const work = steps
    .map(step => ({
      step,
      codes: step.modifier.plan(step.options as never, part, step.schemes).codes.filter(name => !joined.has(name)),
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

/** Tied embeddings stay one tensor when both sides stay as they are or get the same scheme; otherwise they are separated. */
function outcomeOf(model: Model, schemes: ReadonlyMap<string, ModuleScheme>): Outcome {
  const joined = new Map<string, string>();
  let tied = model.tied;
  for (const { name, weight } of weightedModules(model)) {
    if (weight.tiedTo === undefined) continue;
    const [mine, other] = [schemes.get(name), schemes.get(weight.tiedTo)];
    const same =
      mine?.weights && other?.weights
        ? sameArgs(mine.weights, other.weights) && mine.format === other.format
        : mine === other;
    if (same) joined.set(name, weight.tiedTo);
    else tied = false;
  }
  return { schemes, tied, joined };
}

/** What each scheme demands of the shape it is laid over, and of work that exists. */
function checkSchemes(step: Step, model: Model, at: Finding['path']): Finding[] {
  const findings = new Map<string, Finding & { modules: string[] }>();
  const add = (
    module: string,
    key: string,
    finding: Omit<Finding, 'path' | 'level'> & { level?: Finding['level'] },
  ) => {
    const known = findings.get(key);
    if (known) known.modules.push(module);
    else findings.set(key, { level: 'error', ...finding, path: at, modules: [module] });
  };
  for (const { name, weight, family } of weightedModules(model)) {
    const scheme = step.schemes.get(name);
    if (scheme === undefined) continue;
    const { weights, input_activations: inputs, output_activations: outputs, format } = scheme;
    const { rows, columns, dtype } = weight;
    const impossible = weights === null ? undefined : weightArgsProblem(weights);
    if (impossible !== undefined) {
      add(name, impossible, { message: impossible });
    } else if (weights !== null && format === 'dense') {
      add(name, 'dense', {
        message: 'format: dense stores no codes, so the scheme of the weights would be lost',
        hint: 'leave format out',
      });
    } else if (weights !== null) {
      const indivisible = divisibilityProblem(weights, rows, columns);
      const refused =
        indivisible === undefined ? weightFormat(format).refuses({ rows, columns, dtype, args: weights }) : undefined;
      if (indivisible)
        add(name, indivisible.message, { message: indivisible.message, hint: divisors(indivisible.divisors) });
      if (refused !== undefined) add(name, refused, { message: refused });
      if (weightObserver(weights.observer ?? 'memoryless_minmax') === undefined) {
        add(name, `observer ${weights.observer}`, {
          message: `the weight observer ${weights.observer}`,
          notBuilt: true,
        });
      }
      if (weights.strategy === 'tensor_group' && family !== undefined) {
        const outsider = weightedModules(model).find(
          m => m.family === family && step.schemes.get(m.name)?.weights?.strategy !== 'tensor_group',
        );
        if (outsider) {
          add(name, `family of ${outsider.name.split('.').at(-1)}`, {
            level: 'warning',
            message: `${outsider.name} is fused with it by runtimes but has another scheme, so the two cannot share one global scale`,
            hint: 'give all of q, k, v (or gate, up) the same scheme; vLLM needs it',
          });
        }
      }
    }
    if (inputs !== null) {
      if (inputs.dynamic !== true)
        add(name, 'static inputs', { message: 'static input activations (they need calibration)', notBuilt: true });
      const indivisible = inputs.group_size !== null ? divisibilityProblem(inputs, rows, columns) : undefined;
      if (indivisible) {
        add(name, `input ${indivisible.message}`, {
          message: `input activations: ${indivisible.message}`,
          hint: divisors(indivisible.divisors),
        });
      }
    }
    if (outputs !== null)
      add(name, 'outputs', { message: 'output activations (they need calibration)', notBuilt: true });
  }
  return [...findings.values()].map(({ modules, ...finding }) =>
    finding.notBuilt ? finding : { ...finding, message: `${summarize(modules)}: ${finding.message}` },
  );
}

function divisors(sizes: readonly number[]): string {
  return sizes.length > 0 ? `groups of ${sizes.join(', ')} do; or strategy: channel` : 'use strategy: channel';
}

/** `model.layers.*.mlp.down_proj (24 modules)` */
export function summarize(modules: readonly string[]): string {
  const shapes = [...new Set(modules.map(name => name.replace(/\.\d+(?=\.|$)/g, '.*')))];
  const head = modules.length === 1 ? modules[0]! : shapes.slice(0, 3).join(', ') + (shapes.length > 3 ? ', ...' : '');
  return modules.length === 1 ? head : `${head} (${modules.length} modules)`;
}

function unbuiltSections({ recipe }: ParsedRecipe): Finding[] {
  const findings: Finding[] = [];
  (recipe.outputs ?? []).forEach((output, i) => {
    if (output.format !== 'compressed-tensors')
      findings.push(notBuilt(['outputs', i], `the output format ${output.format}`));
  });
  if (recipe.evaluation !== undefined) findings.push(notBuilt(['evaluation'], 'evaluation'));
  if ((recipe.plugins ?? []).length > 0) findings.push(notBuilt(['plugins'], 'loading plugins'));
  return findings;
}

function unbuiltOptions(options: Readonly<Record<string, unknown>>, at: Finding['path']): Finding[] {
  return options['kv_cache_scheme'] == null ? [] : [notBuilt([...at, 'kv_cache_scheme'], 'kv_cache_scheme')];
}

function notBuilt(path: Finding['path'], what: string): Finding {
  return { level: 'error', path, message: what, notBuilt: true };
}

function sourceProblems(model: Model): Finding[] {
  if (!model.quantized) return [];
  return [
    {
      level: 'error',
      path: [],
      message: `${model.name} is already quantized (its config.json holds a quantization_config)`,
      hint: `decompress it first: tensorpress convert ${model.folder} --to dense --out DIR`,
    },
  ];
}

function sortOut(findings: readonly Finding[], parsed: ParsedRecipe) {
  const diagnostics = findings
    .filter(finding => !finding.notBuilt)
    .map((finding): Diagnostic & { level: Finding['level'] } => {
      const place = parsed.locate(finding.path);
      const { message, hint, level } = finding;
      return {
        level,
        code: 'plan',
        ...place,
        message,
        ...(hint === undefined ? {} : { hint }),
        frame: parsed.frame(place),
      };
    })
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  const missing = findings.filter(finding => finding.notBuilt);
  return {
    errors: [...diagnostics.filter(d => d.level === 'error'), ...missing.map(toMissing(parsed))],
    warnings: diagnostics.filter(d => d.level === 'warning'),
  };
}

const toMissing =
  (parsed: ParsedRecipe) =>
  (finding: Finding): Diagnostic => ({ code: 'not-built', ...parsed.locate(finding.path), message: finding.message });

function planError(
  errors: readonly Diagnostic[],
  findings: readonly Finding[],
  parsed: ParsedRecipe,
  model: Model,
): TensorpressError {
  const real = errors.filter(({ code }) => code !== 'not-built');
  if (real.length > 0) {
    const count = real.length === 1 ? '1 error' : `${real.length} errors`;
    return new TensorpressError('PLAN', `${parsed.file} does not fit ${model.name}: ${count}`, { diagnostics: real });
  }
  const missing = [...new Set(findings.filter(f => f.notBuilt).map(f => f.message))];
  const place = errors[0]!;
  const { line, column } = place;
  return new TensorpressError(
    'NOT_BUILT',
    `this recipe is valid, but this version of tensorpress does not carry out yet: ${missing.join('; ')}`,
    {
      place: {
        file: parsed.file,
        ...(line === undefined ? {} : { line }),
        ...(column === undefined ? {} : { column }),
      },
    },
  );
}
