import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TensorpressError } from '../errors.js';
import { parseSize } from '../formats/safetensors/shards.js';
import { checkpointOutput, MAX_SHARD } from '../outputs/checkpoint.js';
import type { Output } from '../outputs/output.js';
import { compile } from '../recipe/compile.js';
import type { Plan } from '../recipe/plan.js';
import { readRecipe } from '../recipe/read.js';
import type { ParsedRecipe } from '../recipe/recipe.js';
import { resolveModel } from '../runtime/model/hub.js';
import { loadModel } from '../runtime/model/load.js';
import { estimate } from './estimate.js';
import type { OnEvent } from './events.js';
import { summarizePlan, type PlanSummary } from './summary.js';

/** The model that ships with tensorpress. */
export const EXAMPLE_MODEL = fileURLToPath(new URL('../../examples/tiny-llama', import.meta.url));

export interface PlanOptions {
  /** Path of the recipe. */
  readonly recipe: string;
  /** A folder, or `org/name[@revision]` on the Hugging Face hub. Default: the bundled example model. */
  readonly model?: string;
  /** `PATH=VALUE` overrides, applied to the native form. */
  readonly set?: readonly string[];
  /** Only its path is used: it is written by `apply`. Default: `out`. */
  readonly out?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly now?: () => number;
}

export interface Prepared {
  readonly parsed: ParsedRecipe;
  readonly plan: Plan;
  readonly outputs: readonly Output[];
  readonly summary: PlanSummary;
  /** Of the hub's repository, when the model came from there. */
  readonly commit?: string;
}

/** Everything before work starts: the recipe is valid, the model readable, the two fit, and the output is laid out. Nothing is written. */
export async function prepare(options: PlanOptions): Promise<Prepared> {
  const { onEvent = () => {}, signal, now = () => performance.now() } = options;
  const parsed = await readRecipe(options.recipe, { overrides: options.set ?? [] });
  const { folder, name, commit } = await resolveModel(options.model ?? EXAMPLE_MODEL, {
    onProgress: ({ file, bytes, total }) => onEvent({ type: 'download', file, bytes, total }),
    onNote: message => onEvent({ type: 'remark', message }),
    ...(signal === undefined ? {} : { signal }),
  });
  const model = await loadModel(folder, { name });
  try {
    const plan = compile(parsed, model);
    const outputs = layOut(plan, resolve(options.out ?? 'out'), parsed);
    const summary = summarizePlan(plan, outputs, await estimate(plan, outputs, now), basename(options.recipe));
    return { parsed, plan, outputs, summary, ...(commit === undefined ? {} : { commit }) };
  } catch (error) {
    await model.source.close();
    throw error;
  }
}

/** The plan as data; nothing is written. */
export async function plan(options: PlanOptions): Promise<PlanSummary> {
  const { plan, summary } = await prepare(options);
  await plan.model.source.close();
  return summary;
}

function layOut(plan: Plan, folder: string, parsed: ParsedRecipe): Output[] {
  const specs = plan.recipe.outputs ?? [{ format: 'compressed-tensors' as const }];
  const folders = new Set<string>();
  return specs.map((spec, i) => {
    const target = i === 0 && spec.name === undefined ? folder : join(folder, spec.name ?? '');
    if (folders.has(target)) {
      throw new TensorpressError('PLAN', 'two outputs would be written to the same folder', {
        place: parsed.locate(['outputs', i]),
        hint: 'give the second one a name; it goes to a folder of that name',
      });
    }
    folders.add(target);
    const size = spec.format === 'compressed-tensors' ? spec.max_shard_size : undefined;
    return checkpointOutput(plan, target, size === undefined ? MAX_SHARD : parseSize(size));
  });
}
