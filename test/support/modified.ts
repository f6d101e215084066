import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Modifier } from '../../src/modifiers/modifier.js';
import { checkpointOutput } from '../../src/outputs/checkpoint.js';
import { planParts } from '../../src/recipe/parts.js';
import { planPasses } from '../../src/recipe/passes.js';
import type { Outcome, Plan, Step } from '../../src/recipe/plan.js';
import { NO_PLUGINS } from '../../src/recipe/plugins/plugins.js';
import type { Recipe } from '../../src/recipe/recipe.js';
import { openCalibration } from '../../src/run/calibrate/calibration.js';
import { statesPath } from '../../src/run/calibrate/states.js';
import { execute, type PartResult } from '../../src/run/execute.js';
import { batchesOf } from '../../src/run/forward/batches.js';
import { createJobs } from '../../src/run/pool.js';
import { createBuffers } from '../../src/run/weights.js';
import type { Engine } from '../../src/runtime/engine/engine.js';
import { decoderOf } from '../../src/runtime/model/decoder.js';
import type { Model } from '../../src/runtime/model/model.js';
import { tempFolder } from './temp.js';

/** A modifier and its options. */
export type Entry = readonly [modifier: Modifier, options?: Readonly<Record<string, unknown>>];

export interface Modified {
  readonly model: Model;
  readonly engine: Engine;
  readonly rows: readonly (readonly number[])[];
  readonly modifiers: readonly Entry[];
  readonly calibration?: NonNullable<Recipe['calibration']>;
  readonly residentBytes?: number;
  readonly onTick?: () => void;
}

export interface Results {
  readonly parts: readonly PartResult[];
  /** Hidden states behind each part, by file. */
  readonly states: Readonly<Record<string, Buffer>>;
}

/** Compiles modifiers for a model, as a recipe of built-in ones is, and executes the plan in this thread. */
export async function modified(run: Modified): Promise<Results> {
  const { model, engine, rows, modifiers, calibration = {}, residentBytes, onTick = () => {} } = run;
  const plan = planOf(model, modifiers, calibration);
  const passes = planPasses(plan)!;
  const batches = batchesOf(
    rows.map(row => Int32Array.from(row)),
    { tokens: Infinity, count: calibration.batch_size ?? 1 },
  );
  const folder = tempFolder();
  const flowing = openCalibration({
    ...{ engine, decoder: decoderOf(model), model, batches, passes, folder, tick: onTick },
    ...(residentBytes !== undefined && { residentBytes }),
  });
  const jobs = createJobs(0);
  const output = checkpointOutput(plan, join(folder, 'out'));
  const states: Record<string, Buffer> = {};
  try {
    await output.open(new Set());
    const parts = await execute({
      plan,
      outputs: [output],
      jobs,
      buffers: createBuffers(jobs.parallel + 1),
      calibration: flowing,
      finished: new Map(),
      commit({ states: saved }) {
        for (const one of saved) states[`${one.stream} ${one.generation}`] = readFileSync(statesPath(folder, one));
        return Promise.resolve();
      },
      progress: { enter: () => {}, add: () => {}, pass: () => {} },
      onEvent: () => {},
      signal: new AbortController().signal,
    });
    return { parts, states };
  } finally {
    await flowing.close();
    await output.close();
    await jobs.close();
  }
}

function planOf(model: Model, modifiers: readonly Entry[], calibration: NonNullable<Recipe['calibration']>): Plan {
  const steps = modifiers.map(([modifier, options = {}], index): Step => {
    const schemes = modifier.schemes?.(options as never, model).schemes ?? new Map();
    return { index, modifier, options, schemes, patterns: [], flows: modifier.flows ?? false };
  });
  const outcome: Outcome = {
    schemes: new Map(steps.flatMap(({ schemes }) => [...schemes])),
    cache: null,
    tied: model.tied,
    joined: new Map(),
  };
  const coders = new Map(steps.flatMap(step => [...step.schemes.keys()].map(name => [name, step] as const)));
  const { parts } = planParts(model, steps, coders, outcome);
  const recipe: Recipe = { version: 1, modifiers: [], calibration };
  return { recipe, plugins: NO_PLUGINS, model, steps, parts, outcome, warnings: [] };
}
