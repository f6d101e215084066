import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { widen } from '../../numerics/dtypes.js';
import { random } from '../../numerics/random.js';
import type { Edit, Modifier, Observation, PartPlan, Remark, Statistics } from '../../modifiers/modifier.js';
import type { Observer } from '../../observers/observer.js';
import { checkpointOutput, MAX_SHARD } from '../../outputs/checkpoint.js';
import { compile } from '../../recipe/compile.js';
import { planPasses } from '../../recipe/passes.js';
import type { Plan } from '../../recipe/plan.js';
import { guardModifier, guardObserver } from '../../recipe/plugins/guard.js';
import { NO_PLUGINS } from '../../recipe/plugins/plugins.js';
import type { ParsedRecipe, Recipe } from '../../recipe/recipe.js';
import { createReferenceEngine } from '../../runtime/engine/reference/engine.js';
import { decoderOf } from '../../runtime/model/decoder.js';
import { weightedModules, type Model } from '../../runtime/model/model.js';
import { openCalibration, type Calibration } from '../calibrate/calibration.js';
import { execute } from '../execute.js';
import { batchesOf } from '../forward/batches.js';
import { createJobs } from '../pool.js';
import { createBuffers } from '../weights.js';
import { tinyModel } from './model.js';

export interface Trial<Options> {
  /** Default: none. */
  readonly options?: Options;
  /** Default: `tinyModel()`. */
  readonly model?: Model;
  /** Rows of token ids that flow through the model, where the modifier observes. Default: 4 random rows of 16. */
  readonly tokens?: readonly (readonly number[])[];
  /** Observers that it asks for and that tensorpress does not have. */
  readonly observers?: readonly Observer[];
  /** What the recipe does before and after it: `{ QuantizationModifier: { scheme: 'W4A16' } }`. */
  readonly before?: Recipe['modifiers'];
  readonly after?: Recipe['modifiers'];
}

/** What a modifier did to a model. */
export interface Tried {
  /** What it planned, by part. */
  readonly plans: Readonly<Record<string, PartPlan>>;
  /** What it emitted, in order. */
  readonly edits: readonly Edit[];
  /** What it took, with the result. */
  readonly statistics: readonly { readonly observation: Observation; readonly result: unknown }[];
  readonly remarks: readonly Remark[];
  /** What it measured, by module. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The weight of a module as it was, in float32. */
  before(module: string): Promise<Float32Array>;
  /** The weight that it gave a module with its last dense edit; the weight as it was where there is none. */
  after(module: string): Promise<Float32Array>;
}

/**
 * Carries a modifier out on a small model, as a run does but that nothing is left of it: planned, shown calibration data by the reference engine, its
 * edits checked. `compute` is the plain one, in this thread.
 *
 * @throws TensorpressError what `plan` or `apply` would say: PLAN, or PLUGIN for edits that are none
 */
export async function tryModifier<Options>(
  modifier: Modifier<Options>,
  { options, model, tokens, observers = [], before = [], after = [] }: Trial<Options> = {},
): Promise<Tried> {
  const on = model ?? (await tinyModel());
  const plans: Record<string, PartPlan> = {};
  const edits: Edit[] = [];
  const statistics: { observation: Observation; result: unknown }[] = [];
  const remarks: Remark[] = [];
  const figures: Record<string, Readonly<Record<string, number>>> = {};
  const watched: Modifier<Options> = {
    ...modifier,
    plan(given, part, schemes) {
      const plan = modifier.plan(given, part, schemes);
      plans[part.id] = plan;
      return plan;
    },
    edit: (part, context) =>
      modifier.edit(part, {
        ...context,
        statistics: recording(context.statistics, statistics),
        async emit(edit) {
          await context.emit(edit);
          edits.push(edit);
        },
        report(remark) {
          remarks.push(remark);
          context.report(remark);
        },
        measure(module, found) {
          figures[module] = { ...figures[module], ...found };
          context.measure(module, found);
        },
      }),
  };

  const plugin = {
    named: modifier.type,
    modifiers: [guardModifier(watched as Modifier, modifier.type)],
    observers: observers.map(observer => guardObserver(observer, observer.names[0]!)),
    files: [],
  };
  const recipe: Recipe = {
    version: 1,
    modifiers: [...before, { [modifier.type]: (options ?? {}) as Record<string, unknown> }, ...after],
    calibration: { dataset: 'tokens' },
  };
  const parsed: ParsedRecipe = {
    recipe,
    plugins: { ...NO_PLUGINS, list: [plugin] },
    file: 'recipe',
    locate: () => ({}),
    frame: () => '',
  };
  const rows = tokens ?? randomRows(on.source.tensors.get('model.embed_tokens.weight')?.shape[0] ?? 2);
  await carryOut(
    compile(parsed, on),
    rows.map(ids => Int32Array.from(ids)),
    plugin.observers,
  );

  const weightBefore = async (name: string) => {
    const module = weightedModules(on).find(known => known.name === name);
    if (module === undefined) throw new RangeError(`the model has no weight ${name}`);
    return widen(await on.source.read(module.weight.tensor), module.weight.dtype);
  };
  return {
    plans,
    edits,
    statistics,
    remarks,
    figures,
    before: weightBefore,
    async after(name) {
      const last = edits.findLast(edit => edit.kind === 'dense' && edit.module === name);
      return last?.kind === 'dense' ? last.weight : weightBefore(name);
    },
  };
}

function recording(given: Statistics, taken: { observation: Observation; result: unknown }[]): Statistics {
  return {
    seen: given.seen,
    async take<Result>(observation: Observation): Promise<Result> {
      const result = await given.take<Result>(observation);
      taken.push({ observation, result });
      return result;
    },
  };
}

/** A run whose files are gone at its end. */
async function carryOut(plan: Plan, rows: readonly Int32Array[], observers: readonly Observer[]): Promise<void> {
  const passes = planPasses(plan);
  const engine = createReferenceEngine();
  const folder = await mkdtemp(join(tmpdir(), 'tensorpress-'));
  const jobs = createJobs(0);
  const output = checkpointOutput(plan, join(folder, 'out'), MAX_SHARD);
  let calibration: Calibration | undefined;
  try {
    await output.open(new Set());
    if (passes !== undefined) {
      const batches = batchesOf(rows, { tokens: Infinity, count: 1 });
      const { model } = plan;
      const decoder = decoderOf(model);
      calibration = openCalibration({ engine, decoder, model, batches, passes, folder, tick: () => {}, observers });
    }
    await execute({
      ...{ plan, outputs: [output], jobs, buffers: createBuffers(2), calibration, finished: new Map() },
      commit: () => Promise.resolve(),
      progress: { enter: () => {}, add: () => {}, pass: () => {} },
      onEvent: () => {},
      signal: new AbortController().signal,
    });
  } finally {
    await calibration?.close();
    await output.close();
    await jobs.close();
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function randomRows(vocabulary: number): number[][] {
  const numbers = random(0, 'tokens');
  return Array.from({ length: 4 }, () => Array.from({ length: 16 }, () => numbers.uint32() % vocabulary));
}
