import { resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { comparisonIntervals, perplexityInterval } from '../evaluation/bootstrap.js';
import { perplexityOf } from '../evaluation/next-token.js';
import { comparisonOf } from '../evaluation/scores.js';
import { openEngine } from '../runtime/engine/open.js';
import { resolveModel } from '../runtime/model/hub.js';
import { loadModel } from '../runtime/model/load.js';
import type { Model } from '../runtime/model/model.js';
import type { EvaluateEvent, EvaluateOn, EvaluateTask, Evaluation, Judgement } from './evaluate.js';
import { batchesOf, type Batch } from './forward/batches.js';
import type { Forward } from './forward/forward.js';
import { runnable, type Runnable } from './forward/runnable.js';
import { generationsOf, promptsOf } from './generations.js';
import { judgeAgainst, judgeAlone } from './judge.js';
import { createLogitsFile } from './logits-file.js';
import { Stopping } from './stopping.js';
import { judgeTask, readTask, type JudgeTask } from './task.js';
import { windowsOf } from './windows.js';

/** The work of `evaluate`. */
export function runEvaluation(
  options: EvaluateTask,
  onEvent: (event: EvaluateEvent) => void,
  stopping = new Stopping(),
): Promise<Evaluation> {
  return withModels(options, onEvent, (model, base) => evaluateModels(model, base, options, onEvent, stopping));
}

/** Opens a model, and the base that it is compared with, for some work. */
export async function withModels<T>(
  options: Pick<EvaluateTask, 'model' | 'against'>,
  onEvent: (event: EvaluateEvent) => void,
  work: (model: Model, base: Model | undefined) => Promise<T>,
): Promise<T> {
  const open = async (path: string): Promise<Model> => {
    const { folder, name } = await resolveModel(path, {
      onProgress: ({ file, bytes, total }) => onEvent({ type: 'download', file, bytes, total }),
    });
    return loadModel(folder, { name });
  };
  const model = await open(options.model);
  try {
    const base = options.against === undefined ? undefined : await open(options.against);
    try {
      return await work(model, base);
    } finally {
      await base?.source.close();
    }
  } finally {
    await model.source.close();
  }
}

/** The same for models that are open. */
export async function evaluateModels(
  model: Model,
  base: Model | undefined,
  options: EvaluateOn,
  onEvent: (event: EvaluateEvent) => void,
  stopping = new Stopping(),
): Promise<Evaluation> {
  const { protocol = 'windows', context = 512 } = options;
  const own = await runnable(model);
  const other = base && (await runnable(base));
  if (other !== undefined) checkPair(own, other, base!);
  const { vocabulary } = own.decoder;
  const folder = options.tokenizer ?? model.folder;
  const { rows: windows, notes, sha256 } = await windowsOf(options, folder, vocabulary);
  const prompts =
    options.generate === undefined
      ? undefined
      : await promptsOf(options.prompts, windows, model, { folder, vocabulary });
  const questions = options.task === undefined ? undefined : await readTask(options.task, { folder, vocabulary });
  // native code works in this thread now, and ending it would end the process
  stopping.hold();
  const engine = await openEngine(options);
  try {
    const rows = windows.map(({ ids }) => ids);
    const batches = batchesOf(rows, { alone: own.alone || (other?.alone ?? false) });
    const tokens = batches.reduce((sum, { ids }) => sum + ids.length, 0);
    onEvent({ type: 'begin', engine: engine.description, windows: windows.length, tokens });

    // before the work, so that it is not for nothing where the file cannot be
    const file = options.logits === undefined ? undefined : await createLogitsFile(options.logits, batches, vocabulary);
    const began = performance.now();
    const tell = (event: EvaluateEvent) => {
      stopping.check();
      onEvent(event);
    };
    const tick = progress([own, ...(other ? [other] : [])], batches, tell);
    const forward = ({ decoder, reader }: Runnable): Forward => ({ engine, decoder, reader, batches, tick });
    let judgement: Judgement;
    try {
      judgement =
        other === undefined
          ? alone(await judgeAlone(forward(own), windows, file), lengthsOf(windows))
          : await against(model, forward(own), forward(other), { windows, file });
      await file?.finish();
    } catch (error) {
      await file?.abort();
      throw error;
    }
    const seconds = (performance.now() - began) / 1000;
    const task = questions && (await judgeTask(questions, { engine, model: own, base: other, ticks: taskTicks(tell) }));
    const texts =
      prompts &&
      other &&
      (await generationsOf({
        engine,
        model: { ...own, name: model.name },
        base: { ...other, name: base!.name },
        prompts,
        tokens: options.generate!,
        onToken: (done, total) => tell({ type: 'progress', part: 'texts', done, total }),
      }));
    return {
      model: model.name,
      data: options.data,
      protocol,
      context,
      windows: windows.length,
      tokens,
      ...judgement,
      ...(texts?.generations && { generations: texts.generations }),
      ...(task && { task }),
      seconds,
      tokens_per_second: tokens / seconds,
      peak_memory_bytes: process.resourceUsage().maxRSS * 1024,
      engine: engine.description,
      rows_sha256: sha256,
      notes: [...notes, ...judgement.notes, ...(texts?.notes ?? [])],
      logits: options.logits === undefined ? null : resolve(options.logits),
    };
  } finally {
    await engine.close();
    stopping.release();
  }
}

function alone(nlls: Float64Array, lengths: readonly number[]): Judgement {
  const interval = perplexityInterval(nlls, lengths);
  return { ...perplexityOf(nlls), intervals: interval && { perplexity: interval }, notes: [] };
}

async function against(
  model: Model,
  own: Forward,
  base: Forward,
  { windows, file }: Parameters<typeof judgeAgainst>[2],
): Promise<Judgement> {
  const unlike = unlikeHidden(model, own, base);
  const { scores, layers } = await judgeAgainst(own, base, { windows, file, layers: unlike === undefined });
  const figures = comparisonOf(scores);
  return {
    ...figures,
    intervals: comparisonIntervals(scores, lengthsOf(windows)),
    ...(layers.length === 0 ? {} : { layers }),
    notes: [
      ...(unlike === undefined ? [] : [unlike]),
      ...(figures.logit_rms === 0 ? ['both give the same logits to the last bit: KL is exactly 0'] : []),
    ],
  };
}

/** Scored tokens of each window. */
function lengthsOf(windows: readonly { ids: Int32Array; scoredFrom: number }[]): number[] {
  return windows.map(({ ids, scoredFrom }) => Math.max(0, ids.length - scoredFrom));
}

export function checkPair(own: Runnable, base: Runnable, { name }: Model): void {
  const [mine, others] = [own.decoder.vocabulary, base.decoder.vocabulary];
  if (mine === others) return;
  throw new TensorpressError('MODEL', `the vocabulary has ${mine} tokens, that of ${name} ${others}`, {
    hint: 'only models of one vocabulary can be compared',
  });
}

/** Why hidden states cannot be compared layer by layer, if so. */
function unlikeHidden({ config }: Model, own: Forward, base: Forward): string | undefined {
  const [mine, others] = [own.decoder, base.decoder];
  if (mine.hidden !== others.hidden || mine.layers.length !== others.layers.length) {
    return 'the models have different layers, so hidden states are not compared';
  }
  // a rotation of the residual stream is recorded where it begins
  if (/"weight_output"[^{}]*embed_tokens/.test(JSON.stringify(config))) {
    return 'the residual stream of the model is rotated, so hidden states are not compared';
  }
  return undefined;
}

/** Progress of a task. */
export function taskTicks(onEvent: (event: EvaluateEvent) => void): JudgeTask['ticks'] {
  return (models, batches) =>
    progress(models, batches, event => onEvent(event.type === 'progress' ? { ...event, part: 'task' } : event));
}

function progress(models: readonly Runnable[], batches: readonly Batch[], onEvent: (event: EvaluateEvent) => void) {
  const total = models.reduce((sum, { decoder }) => sum + decoder.layers.length + 2, 0) * batches.length;
  let done = 0;
  return ({ part }: { part: string }) => {
    done = Math.min(total, done + 1);
    onEvent({ type: 'progress', part, done, total });
  };
}
