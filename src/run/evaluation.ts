import { resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { NextToken, perplexityOf } from '../evaluation/next-token.js';
import type { Engine, Tensor } from '../runtime/engine/engine.js';
import { openEngine } from '../runtime/engine/open.js';
import type { Op } from '../runtime/model/graph.js';
import { resolveModel } from '../runtime/model/hub.js';
import { loadModel } from '../runtime/model/load.js';
import type { EvaluateEvent, EvaluateTask, Evaluation } from './evaluate.js';
import { batchesOf, type Batch } from './forward/batches.js';
import { hiddenStates, runHead, type Forward } from './forward/forward.js';
import { runnable } from './forward/runnable.js';
import type { Stream } from './forward/stream.js';
import { createLogitsFile, type LogitsFile } from './logits-file.js';
import { Stopping } from './stopping.js';
import { windowsOf } from './windows.js';
import type { Row } from '../runtime/text/texts.js';

/** Behind the logits of a piece of the vocabulary: what is needed of them, so that the logits themselves need not be kept. */
const TAIL: readonly Op[] = [
  { op: 'log_sum_exp', out: 'sums', in: { x: 'output' }, with: {} },
  { op: 'pick', out: 'picked', in: { x: 'output', index: 'targets' }, with: {} },
];

/** The work of `evaluate`. */
export async function runEvaluation(
  options: EvaluateTask,
  onEvent: (event: EvaluateEvent) => void,
  stopping = new Stopping(),
): Promise<Evaluation> {
  const { protocol = 'windows', context = 512 } = options;
  const { folder, name } = await resolveModel(options.model, {
    onProgress: ({ file, bytes, total }) => onEvent({ type: 'download', file, bytes, total }),
  });
  const model = await loadModel(folder, { name });
  let engine: Engine | undefined;
  try {
    const { decoder, reader, alone } = runnable(model);
    const { rows: windows, notes, sha256 } = await windowsOf(options, folder, decoder.vocabulary);
    stopping.hold();
    engine = await openEngine(options);
    const batches = batchesOf(
      windows.map(({ ids }) => ids),
      { alone },
    );
    const tokens = batches.reduce((sum, { ids }) => sum + ids.length, 0);
    onEvent({ type: 'begin', engine: engine.description, windows: windows.length, tokens });

    // before the work, so that it is not for nothing where the file cannot be
    const file =
      options.logits === undefined ? undefined : await createLogitsFile(options.logits, batches, decoder.vocabulary);
    const began = performance.now();
    const forward: Forward = {
      engine,
      decoder,
      reader,
      batches,
      tick: progress(decoder.layers.length, batches, event => {
        stopping.check();
        onEvent(event);
      }),
    };
    let nlls: Float64Array;
    try {
      const stream = await hiddenStates(forward);
      try {
        nlls = await scoreTokens(forward, stream, windows, file);
      } finally {
        await stream.close();
      }
      await file?.finish();
    } catch (error) {
      await file?.abort();
      throw error;
    }
    const seconds = (performance.now() - began) / 1000;
    return {
      model: name,
      data: options.data,
      protocol,
      context,
      windows: windows.length,
      tokens,
      ...perplexityOf(nlls),
      seconds,
      tokens_per_second: tokens / seconds,
      peak_memory_bytes: process.resourceUsage().maxRSS * 1024,
      engine: engine.description,
      rows_sha256: sha256,
      notes,
      logits: options.logits === undefined ? null : resolve(options.logits),
    };
  } finally {
    await engine?.close();
    await model.source.close();
  }
}

/** Negative log likelihoods of all scored tokens, in their order; the logits go into a file if there is to be one. */
async function scoreTokens(
  forward: Forward,
  stream: Stream,
  windows: readonly Row[],
  file: LogitsFile | undefined,
): Promise<Float64Array> {
  const { engine, batches } = forward;
  const scores = batches.map(({ ids }) => new NextToken(ids.length));
  await runHead(forward, stream, {
    tail: TAIL,
    wanted: file === undefined ? ['sums', 'picked'] : ['sums', 'picked', 'output'],
    ...(file === undefined ? {} : { groups: file.groups }),
    extra: (b, from, count): Record<string, Tensor> => ({
      targets: engine.tensor(targetsOf(batches[b]!, from, count), [batches[b]!.ids.length]),
    }),
    async take({ batch, from, count, values }) {
      scores[batch]!.add(await values['sums']!.read(), await values['picked']!.read());
      await file?.take(batch, from, count, await values['output']!.read());
    },
  });
  return collect(scores, batches, windows);
}

/** For each position the token that follows, counted from the piece's first, -1 where it lies in another piece or there is none. */
function targetsOf({ ids, length }: Batch, from: number, count: number): Int32Array {
  return ids.map((_, t) => {
    if ((t + 1) % length === 0) return -1;
    const target = ids[t + 1]! - from;
    return target >= 0 && target < count ? target : -1;
  });
}

function collect(scores: readonly NextToken[], batches: readonly Batch[], windows: readonly Row[]): Float64Array {
  const nlls: number[] = [];
  for (const [b, { first, rows, length }] of batches.entries()) {
    for (let row = 0; row < rows; row++) {
      for (let t = windows[first + row]!.scoredFrom; t < length; t++) nlls.push(scores[b]!.nll(row * length + t - 1));
    }
  }
  if (nlls.every(nll => Number.isFinite(nll))) return Float64Array.from(nlls);
  throw new TensorpressError('TENSOR', 'the model gives logits that are not finite', {
    hint: 'weights or scales of the model are damaged, or too large for float32',
  });
}

function progress(layers: number, batches: readonly Batch[], onEvent: (event: EvaluateEvent) => void) {
  const total = (layers + 2) * batches.length;
  let done = 0;
  return ({ part }: { part: string }) => {
    done = Math.min(total, done + 1);
    onEvent({ type: 'progress', part, done, total });
  };
}
