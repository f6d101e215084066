import { checkpointConfig } from '../outputs/config-json.js';
import { decoderOf } from '../runtime/model/decoder.js';
import { loadModel } from '../runtime/model/load.js';
import type { ComparedEvaluation, EvaluateEvent, EvaluateOn } from './evaluate.js';
import type { ApplyOptions } from './apply.js';
import { evaluateModels } from './evaluation.js';
import type { Inputs } from './inputs.js';
import type { Prepared } from './prepare.js';
import { readPrompts } from './prompts.js';
import { readFor } from './reading.js';
import type { Stopping } from './stopping.js';

/**
 * Reads the texts that the result is to be judged by before any work is done.
 * @throws TensorpressError ARGUMENT, MODEL when one of them cannot be used
 */
export async function checkEvaluation({ plan: { model } }: Prepared, { evaluation }: Inputs): Promise<void> {
  if (evaluation !== undefined) await readFor(model, await asked(evaluation), decoderOf(model).vocabulary);
}

/** What the recipe asks for, with its prompts instead of their file. */
async function asked({ prompts, ...evaluation }: NonNullable<Inputs['evaluation']>): Promise<EvaluateOn> {
  return { ...evaluation, ...(prompts !== undefined && { prompts: await readPrompts(prompts) }) };
}

/**
 * Judges the result against its source, if the recipe asks for it. The weights are on the disk under their names, while config.json is not: the
 * folder does not look finished yet. All outputs hold the same codes, so the first stands for all.
 */
export async function judgeResult(
  { plan, outputs }: Prepared,
  { evaluation }: Inputs,
  { onEvent = () => {}, engine, device, threads }: ApplyOptions,
  stopping: Stopping,
): Promise<ComparedEvaluation | undefined> {
  const [output] = outputs;
  if (evaluation === undefined || output === undefined) return undefined;
  const source = plan.model;
  const model = await loadModel(output.folder, { name: source.name, configText: checkpointConfig(plan) });
  try {
    const options = {
      ...(await asked(evaluation)),
      tokenizer: source.folder,
      ...(engine === undefined ? {} : { engine }),
      ...(device === undefined ? {} : { device }),
      ...(threads === undefined ? {} : { threads }),
    };
    const tell = (event: EvaluateEvent) => {
      if (event.type === 'progress') onEvent({ ...event, type: 'evaluation' });
    };
    return await evaluateModels(model, source, options, tell, stopping);
  } finally {
    await model.source.close();
  }
}
