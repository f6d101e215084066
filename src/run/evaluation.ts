import { resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { comparisonIntervals, perplexityInterval } from '../evaluation/bootstrap.js';
import { perplexityOf } from '../evaluation/next-token.js';
import { comparisonOf } from '../evaluation/scores.js';
import { resolveModel } from '../runtime/model/hub.js';
import { loadModel } from '../runtime/model/load.js';
import type { Model } from '../runtime/model/model.js';
import type { ComparedEvaluation, EvaluateEvent, EvaluateOn, EvaluateTask, Evaluation, Judgement } from './evaluate.js';
import { quantizationOf, transformEntries } from './compressed.js';
import { batchesOf } from './forward/batches.js';
import type { Forward } from './forward/forward.js';
import { runnable, type Runnable } from './forward/runnable.js';
import { generationsOf } from './generations.js';
import { withEngine } from './held-engine.js';
import { judgeAgainst, judgeAlone, type Judge } from './judge.js';
import { createLogitsOutput } from './logits-output.js';
import { cachedPerplexity, type CacheOptions, type Measured } from './perplexity-cache.js';
import { readFor } from './reading.js';
import { progress } from './share.js';
import { Stopping } from './stopping.js';
import { judgeTask } from './task.js';

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
export function evaluateModels(
  model: Model,
  base: Model,
  options: EvaluateOn,
  onEvent: (event: EvaluateEvent) => void,
  stopping?: Stopping,
): Promise<ComparedEvaluation>;
export function evaluateModels(
  model: Model,
  base: Model | undefined,
  options: EvaluateOn,
  onEvent: (event: EvaluateEvent) => void,
  stopping?: Stopping,
): Promise<Evaluation>;
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
  const reading = await readFor(model, options, vocabulary);
  const { rows: windows, notes, sha256 } = reading.windows;
  const rows = windows.map(({ ids }) => ids);
  const batches = batchesOf(rows, { alone: own.alone || (other?.alone ?? false) });
  const tokens = batches.reduce((sum, { ids }) => sum + ids.length, 0);
  const tell = (event: EvaluateEvent) => {
    stopping.check();
    onEvent(event);
  };
  return withEngine(options, stopping, async engine => {
    onEvent({ type: 'begin', engine: engine.description, windows: windows.length, tokens });
    // before the work, so that it is not for nothing where the file cannot be
    const file =
      options.logits === undefined ? undefined : await createLogitsOutput(options.logits, batches, vocabulary);
    try {
      const forward = ({ decoder, reader }: Runnable): Forward => ({ engine, decoder, reader, batches });
      const forwards = [own, ...(other ? [other] : [])].map(forward);
      const tick = progress(forwards, tell);
      const [mine, theirs] = forwards.map(run => ({ ...run, tick }));
      const judge = async () =>
        theirs === undefined
          ? alone(await judgeAlone(mine!, windows, file), lengthsOf(windows))
          : against(mine!, theirs, { windows, file, unlike: unlikeBasis(model) ?? unlikeBasis(base!) });
      const cache = cacheFor(options, base);
      const { measured: judgement, known } =
        cache === undefined
          ? { measured: await measured(judge), known: false }
          : await cachedPerplexity({ model, rows: reading.windows, engine }, cache, () => measured(judge));
      const task = reading.task && (await judgeTask(reading.task, { engine, model: own, base: other, tell }));
      const texts =
        reading.prompts &&
        other &&
        (await generationsOf({
          engine,
          model: { ...own, name: model.name },
          base: { ...other, name: base!.name },
          prompts: reading.prompts,
          tokens: options.generate!,
          onToken: (done, total) => tell({ type: 'progress', part: 'texts', done, total }),
        }));
      await file?.finish();
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
        tokens_per_second: tokens / judgement.seconds,
        peak_memory_bytes: (task ?? texts) ? peakMemory() : judgement.peak_memory_bytes,
        engine: engine.description,
        rows_sha256: sha256,
        notes: [...notes, ...(known ? [FROM_CACHE] : []), ...judgement.notes, ...(texts?.notes ?? [])],
        logits: options.logits === undefined ? null : resolve(options.logits),
      };
    } catch (error) {
      await file?.abort();
      throw error;
    }
  });
}

const FROM_CACHE =
  'perplexity from the cache: same model, text and settings; speed and memory are those of the run that measured it';

/** The cache for what is asked; undefined where there is more to do than to measure a perplexity. */
function cacheFor(
  { cacheDir, force = false, logits, task }: EvaluateOn,
  base: Model | undefined,
): CacheOptions | undefined {
  const more = base !== undefined || logits !== undefined || task !== undefined;
  return cacheDir === undefined || more ? undefined : { folder: cacheDir, force };
}

async function measured(judge: () => Promise<Judgement>): Promise<Measured> {
  const began = performance.now();
  const judgement = await judge();
  return { ...judgement, seconds: (performance.now() - began) / 1000, peak_memory_bytes: peakMemory() };
}

function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024;
}

function alone(nlls: Float64Array, lengths: readonly number[]): Judgement {
  const interval = perplexityInterval(nlls, lengths);
  return { ...perplexityOf(nlls), intervals: interval && { perplexity: interval }, notes: [] };
}

async function against(
  own: Forward,
  base: Forward,
  { windows, file, unlike: rotated }: Judge & { readonly unlike: string | undefined },
): Promise<Judgement> {
  const unlike = unlikeLayers(own, base) ?? rotated;
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

/** @throws TensorpressError MODEL when two models cannot be compared, since their vocabularies differ */
export function checkPair(own: Runnable, base: Runnable, { name }: Model): void {
  const [mine, others] = [own.decoder.vocabulary, base.decoder.vocabulary];
  if (mine === others) return;
  throw new TensorpressError('MODEL', `the vocabulary has ${mine} tokens, that of ${name} ${others}`, {
    hint: 'only models of one vocabulary can be compared',
  });
}

// Why hidden states cannot be compared layer by layer, if so.

function unlikeLayers({ decoder: mine }: Forward, { decoder: others }: Forward): string | undefined {
  return mine.hidden === others.hidden && mine.layers.length === others.layers.length
    ? undefined
    : 'the models have different layers, so hidden states are not compared';
}

/** A rotation of the residual stream is recorded where the stream begins. */
function unlikeBasis(model: Model): string | undefined {
  const { modules, parts, quantized, name } = model;
  if (!quantized) return undefined;
  const embeddings = new Set(parts.find(({ id }) => id === 'embedding')?.modules.map(module => module.name));
  const rotated = transformEntries(model, quantizationOf(model)).some(
    entry =>
      entry.location === 'weight_output' &&
      modules.some(module => embeddings.has(module.name) && entry.selects(module)),
  );
  return rotated ? `the residual stream of ${name} is rotated, so hidden states are not compared` : undefined;
}
