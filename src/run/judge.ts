import { TensorpressError } from '../errors.js';
import { Divergence } from '../evaluation/divergence.js';
import { HiddenError, type HiddenFigures } from '../evaluation/hidden.js';
import { NextToken } from '../evaluation/next-token.js';
import { scoresFor, type Scores } from '../evaluation/scores.js';
import type { Op } from '../runtime/model/graph.js';
import { slice } from '../runtime/model/slice.js';
import type { Row } from '../runtime/text/texts.js';
import type { Batch } from './forward/batches.js';
import { embedded, type Forward, type States } from './forward/forward.js';
import { openHead, visitPieces } from './forward/head.js';
import type { LogitsOutput } from './logits-output.js';

// Behind the logits of a piece of the vocabulary: what is needed of them, so that the logits themselves need not be kept.
const SUMS: Op = { op: 'log_sum_exp', out: 'sums', in: { x: 'output' }, with: {} };
const PICKED: Op = { op: 'pick', out: 'picked', in: { x: 'output', index: 'targets' }, with: {} };
const DIVERGENCE: Op = { op: 'divergence', out: 'divergence', in: { a: 'base', b: 'model' }, with: {} };

export interface Judge {
  readonly windows: readonly Row[];
  readonly file: LogitsOutput | undefined;
}

/** Negative log likelihoods of all scored tokens, in their order. */
export async function judgeAlone(
  forward: Forward,
  windows: readonly Row[],
  file: Judge['file'],
): Promise<Float64Array> {
  const { engine, batches, decoder } = forward;
  const states = await embedded(forward);
  try {
    for (const _ of decoder.layers) await states.next();
    const scores = batches.map(({ ids }) => new NextToken(ids.length));
    const wanted = file === undefined ? ['sums', 'picked'] : ['sums', 'picked', 'output'];
    const head = await openHead(forward, states.stream, { tail: [SUMS, PICKED], wanted });
    await visitPieces([head], file?.groups ?? allOf(batches), async (b, from, count) => {
      const { ids } = batches[b]!;
      const targets = engine.tensor(targetsOf(batches[b]!, from, count), [ids.length]);
      const values = await head.run(b, { targets });
      scores[b]!.add(await values['sums']!.read(), await values['picked']!.read());
      await file?.take(b, from, count, await values['output']!.read());
      for (const tensor of [targets, ...Object.values(values)]) tensor.dispose();
      forward.tick?.({ part: 'head', share: count / head.vocabulary });
    });
    const places = scoredPlaces(batches, windows);
    return finite(Float64Array.from(places, ({ batch, at }) => scores[batch]!.nll(at)));
  } finally {
    await states.stream.close();
  }
}

/** What a comparison finds at every scored token, in their order, and behind every layer. */
export interface Judged {
  readonly scores: Scores;
  /** Behind the embedding (layer -1) and each layer; empty unless asked for. */
  readonly layers: readonly ({ readonly layer: number } & HiddenFigures)[];
}

/** Takes two models side by side through all batches: the logits of both exist for a piece of the vocabulary and a batch at a time. */
export async function judgeAgainst(
  model: Forward,
  base: Forward,
  { windows, file, layers: withLayers = true }: Judge & { readonly layers?: boolean },
): Promise<Judged> {
  const { engine, batches, decoder } = model;
  const own = await embedded(model);
  try {
    const other = await embedded(base);
    try {
      const layers: Judged['layers'][number][] = [];
      const look = async (layer: number) => {
        if (withLayers) layers.push({ layer, ...(await hiddenError(own, other, model)) });
      };
      await look(-1);
      for (const layer of decoder.layers.keys()) {
        await own.next();
        if (layer < base.decoder.layers.length) await other.next();
        await look(layer);
      }
      for (let layer = decoder.layers.length; layer < base.decoder.layers.length; layer++) await other.next();

      const found = batches.map(({ ids }) => new Divergence(ids.length, decoder.vocabulary));
      const heads = [
        await openHead(model, own.stream, { tail: [PICKED], wanted: ['output', 'picked'], heads: 2 }),
        await openHead(base, other.stream, { tail: [PICKED], wanted: ['output', 'picked'], heads: 2 }),
      ] as const;
      const compare = engine.compile(slice([DIVERGENCE], ['divergence']));
      await visitPieces(heads, file?.groups ?? allOf(batches), async (b, from, count) => {
        const { ids } = batches[b]!;
        const targets = engine.tensor(targetsOf(batches[b]!, from, count), [ids.length]);
        const mine = await heads[0].run(b, { targets });
        const theirs = await heads[1].run(b, { targets });
        const { divergence } = await compare.run({ base: theirs['output']!, model: mine['output']! });
        found[b]!.add({
          from,
          sums: await divergence!.read(),
          basePicked: await theirs['picked']!.read(),
          modelPicked: await mine['picked']!.read(),
        });
        await file?.take(b, from, count, await mine['output']!.read());
        for (const tensor of [targets, divergence!, ...Object.values(mine), ...Object.values(theirs)]) tensor.dispose();
        // of both heads
        model.tick?.({ part: 'head', share: (2 * count) / decoder.vocabulary });
      });
      const places = scoredPlaces(batches, windows);
      const scores = scoresFor(places.length, { logits: true });
      places.forEach(({ batch, at }, i) => found[batch]!.score(at, scores, i));
      finite(scores.baseNll);
      finite(scores.modelNll);
      return { scores, layers };
    } finally {
      await other.stream.close();
    }
  } finally {
    await own.stream.close();
  }
}

async function hiddenError(own: States, other: States, { batches, decoder }: Forward): Promise<HiddenFigures> {
  const error = new HiddenError(decoder.hidden);
  for (const b of batches.keys()) {
    const [mine, theirs] = [await own.stream.read(b), await other.stream.read(b)];
    error.add(await theirs.read(), await mine.read());
  }
  return error.figures();
}

const allOf = (batches: readonly Batch[]) => [[...batches.keys()]];

/** For each position the token that follows, counted from the piece's first, -1 where it lies in another piece or there is none. */
function targetsOf({ ids, length }: Batch, from: number, count: number): Int32Array {
  return ids.map((_, t) => {
    if ((t + 1) % length === 0) return -1;
    const target = ids[t + 1]! - from;
    return target >= 0 && target < count ? target : -1;
  });
}

/** Where each scored token is predicted: at the position before it. */
function scoredPlaces(batches: readonly Batch[], windows: readonly Row[]): { batch: number; at: number }[] {
  return batches.flatMap(({ first, rows, length }, batch) =>
    Array.from({ length: rows }, (_, row) => row).flatMap(row => {
      const from = windows[first + row]!.scoredFrom;
      return Array.from({ length: Math.max(0, length - from) }, (_, i) => ({ batch, at: row * length + from + i - 1 }));
    }),
  );
}

function finite(nlls: Float64Array): Float64Array {
  if (nlls.every(nll => Number.isFinite(nll))) return nlls;
  throw new TensorpressError('TENSOR', 'the model gives logits that are not finite', {
    hint: 'weights or scales of the model are damaged, or too large for float32',
  });
}
