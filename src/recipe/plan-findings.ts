import { TensorpressError, type Diagnostic } from '../errors.js';
import { cachedAttention } from '../modifiers/attention.js';
import type { Problem } from '../modifiers/modifier.js';
import { decoderOf } from '../runtime/model/decoder.js';
import type { Model } from '../runtime/model/model.js';
import { patterns } from '../runtime/model/untouched.js';
import { sameArgs } from '../schemes/args.js';
import type { Outcome, PartWork, Step } from './plan.js';
import type { ParsedRecipe, Recipe } from './recipe.js';

/** A finding with its path from the recipe's root. */
export type PlanFinding = Problem;

/** Work that the recipe asks for and that does not exist yet. */
export function notBuilt(path: PlanFinding['path'], what: string): PlanFinding {
  return { level: 'error', path, message: what, notBuilt: true };
}

/** What a recipe says beside its modifiers and that is not carried out yet. */
export function unbuiltSections({ outputs = [] }: Recipe): PlanFinding[] {
  return outputs.flatMap(({ format }, i) =>
    format === 'compressed-tensors' ? [] : [notBuilt(['outputs', i], `the output format ${format}`)],
  );
}

/** Whether the model can be judged at all: that it cannot is better known before the work than after it. */
export function evaluationFindings({ evaluation }: Recipe, model: Model): PlanFinding[] {
  if (evaluation === undefined) return [];
  const message = runProblem(model);
  const hint = 'leave evaluation out, and judge the result with what runs the model';
  return message === undefined ? [] : [{ level: 'error', path: ['evaluation'], message, hint }];
}

/** Modifiers that observe need data, and a model that can be run. */
export function calibrationFindings(
  { calibration }: Recipe,
  model: Model,
  steps: readonly Step[],
  parts: readonly PartWork[],
): PlanFinding[] {
  const runs = runProblem(model);
  return steps.flatMap((step): PlanFinding[] => {
    const sites = parts.flatMap(part =>
      part.steps.filter(work => work.step === step).flatMap(({ observe }) => observe),
    );
    if (sites.length === 0) return [];
    const modules = [...new Set(sites.map(({ site }) => site.slice(0, site.lastIndexOf('.'))))];
    const at = { level: 'error', path: ['modifiers', step.index, step.modifier.type] } as const;
    if (runs !== undefined) {
      const hint = 'round to nearest with dynamic activations (FP8_DYNAMIC, W4A16) does not run the model';
      return [{ ...at, message: `calibration is needed, and ${runs}`, hint }];
    }
    if (calibration?.dataset != null) return [];
    const count = modules.length === 1 ? '' : ` (${modules.length} modules)`;
    const message = `${patterns(modules)}${count}: calibration data are needed`;
    const hint =
      'add calibration: {dataset: FILE.txt}; round to nearest with dynamic activations (FP8_DYNAMIC, W4A16) needs none';
    return [{ ...at, message, hint }];
  });
}

/** What follows from how the model keeps keys and values in the end. */
export function cacheFindings(
  { evaluation }: Recipe,
  model: Model,
  steps: readonly Step[],
  { schemes, cache }: Pick<Outcome, 'schemes' | 'cache'>,
): PlanFinding[] {
  if (cache?.dynamic === true && evaluation !== undefined) {
    const message =
      'a dynamic kv_cache_scheme has no scales of its own: how it is carried out is up to the reader, and no engine here runs it';
    return [{ level: 'error', path: ['evaluation'], message, hint: 'leave evaluation out' }];
  }
  const attention = cachedAttention(model).map(({ name }) => name);
  const [first] = attention.filter(name => schemes.get(name)?.attention !== undefined);
  if (cache !== null || first === undefined) return [];
  const own = schemes.get(first)!.attention!.cache;
  const others = attention.filter(name => !sameArgs(schemes.get(name)?.attention?.cache ?? null, own));
  const { index, modifier } = steps.find(step => step.schemes.has(first))!;
  const keeps = others.length === 1 ? 'keeps' : 'keep';
  return [
    {
      level: 'warning',
      path: ['modifiers', index, modifier.type, 'config_groups'],
      message: `${others.length === 1 ? others[0]! : patterns(others)} ${keeps} keys and values in another way, so config.json has no kv_cache_scheme`,
      hint: 'runtimes know one scheme for the whole cache; give all attention modules the same',
    },
  ];
}

/** Why the model cannot be run, as a sentence. */
function runProblem(model: Model): string | undefined {
  try {
    decoderOf(model);
    return undefined;
  } catch (error) {
    if (!(error instanceof TensorpressError)) throw error;
    return error.message;
  }
}

/** The error for a model whose weights are codes already. */
export function alreadyQuantized({ name, folder }: Model): TensorpressError {
  return new TensorpressError('PLAN', `${name} is quantized already: its config.json holds a quantization_config`, {
    place: { file: `${folder}/config.json` },
    hint: `decompress it first: tensorpress convert ${folder} --to dense --out DIR`,
  });
}

/**
 * All findings in the order of the text.
 * @returns the warnings, when there are no errors
 * @throws TensorpressError PLAN with every error, or else NOT_BUILT
 */
export function raise(findings: readonly PlanFinding[], parsed: ParsedRecipe, model: Model): Diagnostic[] {
  const placed = findings
    .map(finding => ({ finding, place: parsed.locate(finding.path) }))
    .sort((a, b) => (a.place.line ?? 0) - (b.place.line ?? 0) || (a.place.column ?? 0) - (b.place.column ?? 0));
  const built = placed.filter(({ finding }) => finding.notBuilt === undefined);
  const diagnostics = (level: Problem['level']) =>
    built
      .filter(({ finding }) => finding.level === level)
      .map(({ finding: { message, hint }, place }): Diagnostic => ({
        code: 'plan',
        ...place,
        message,
        ...(hint !== undefined && { hint }),
        frame: parsed.frame(place),
      }));
  const errors = diagnostics('error');
  if (errors.length > 0) {
    const count = errors.length === 1 ? '1 error' : `${errors.length} errors`;
    throw new TensorpressError('PLAN', `${parsed.file} does not fit ${model.name}: ${count}`, {
      diagnostics: errors,
      place: built.find(({ finding }) => finding.level === 'error')!.place,
    });
  }
  const missing = placed.filter(({ finding }) => finding.notBuilt);
  if (missing.length > 0) {
    const what = [...new Set(missing.map(({ finding }) => finding.message))];
    const list = what.length < 2 ? what.join() : `${what.slice(0, -1).join(', ')} and ${what.at(-1)}`;
    throw new TensorpressError(
      'NOT_BUILT',
      `this recipe is valid, but this version of tensorpress does not carry out ${list} yet`,
      { place: missing[0]!.place },
    );
  }
  return diagnostics('warning');
}
