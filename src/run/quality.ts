import type { ComparedName } from '../evaluation/bootstrap.js';
import type { HiddenFigures } from '../evaluation/hidden.js';
import type { ComparedEvaluation } from './evaluate.js';
import { formatEstimate } from './units.js';

/** What the evaluation of an output against its source found; the folder that it was found in is where the report lies. */
export type Quality = Omit<ComparedEvaluation, 'model' | 'logits'>;

/** Layers from one to another that follow each other; -1 is the embedding. */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
  /** How much of all that the hidden states turn away from the base's comes in these layers, 0 to 1. */
  readonly share: number;
}

/**
 * The fewest layers in a row that hold half of the turn of the hidden states away from the base's, a third of all layers at most; undefined
 * where the turn is spread wider, or where there is none. The turn is 1 - cosine, in which every token counts alike: the relative error is that
 * of a few tokens where a model has huge states, and falls and rises with them.
 */
export function damagedLayers(layers: readonly ({ readonly layer: number } & HiddenFigures)[]): LayerRange | undefined {
  const added = layers.map(({ cosine }, i) => Math.max(0, (layers[i - 1]?.cosine ?? 1) - cosine));
  const total = added.reduce((sum, x) => sum + x, 0);
  // below this the sums of float32 states differ by themselves
  if (total < 1e-9) return undefined;
  for (let length = 1; length <= Math.max(1, layers.length / 3); length++) {
    const shares = added
      .slice(0, added.length - length + 1)
      .map((_, i) => added.slice(i, i + length).reduce((sum, x) => sum + x, 0) / total);
    const best = shares.indexOf(Math.max(...shares));
    if (shares[best]! < 0.5) continue;
    return { from: layers[best]!.layer, to: layers[best + length - 1]!.layer, share: shares[best]! };
  }
  return undefined;
}

/** `layer 3`, `layers 0-2`, `the embedding`, `the embedding and layer 0`. */
export function layerNames({ from, to }: LayerRange): string {
  const layers = (a: number) => (a === to ? `layer ${a}` : `layers ${a}-${to}`);
  if (from >= 0) return layers(from);
  return to < 0 ? 'the embedding' : `the embedding and ${layers(0)}`;
}

/** `wikitext.txt, 20 windows of 256 tokens`: what was read, without the folder that it lies in. */
export function textOf({ data, windows, context, protocol }: Quality): string {
  const name = data.split(/[\\/]/).at(-1)!;
  const by = protocol === 'llama' ? ' as llama-perplexity scores them' : '';
  return `${name}, ${windows} ${windows === 1 ? 'window' : 'windows'} of ${context} tokens${by}`;
}

/** A figure of a quality for people; what the report says of it is the same on every page. */
export interface QualityRow {
  readonly figure: string;
  readonly value: string;
  /** 95 % of the bootstrap over windows. */
  readonly interval: string;
  readonly meaning: string;
}

/** The figures of a quality from the one that says most to the rarest. */
export function qualityRows(quality: Quality): QualityRow[] {
  const { intervals } = quality;
  const row = (
    figure: string,
    value: string,
    meaning: string,
    name?: ComparedName,
    show: (x: number) => string = short,
  ): QualityRow => {
    const interval = name && intervals?.[name];
    return { figure, value, meaning, interval: interval ? `${show(interval.low)} to ${show(interval.high)}` : '' };
  };
  const perplexity = (name: ComparedName, value: number, figure: string, meaning: string) =>
    row(figure, value.toFixed(2), meaning, name, x => x.toFixed(2));
  const { kl, same_top1, rms_delta_p, logit_rms } = quality;
  return [
    row('KL to the original, mean', short(kl.mean), 'nats per token; 0 is the same prediction', 'kl_mean'),
    row('KL, median', short(kl.median), 'of half of the tokens it is less'),
    row('KL, 99 %', short(kl.p99), 'of one token in a hundred it is more'),
    row('KL, 99.9 %', short(kl.p99_9), 'of one token in a thousand it is more'),
    row('KL, largest', short(kl.max), 'of the worst token'),
    row('same top token', share(same_top1), 'how often the likeliest token is the same', 'same_top1', share),
    row('change of p', share(rms_delta_p), "of the true token's probability, root mean square", 'rms_delta_p', share),
    ...(logit_rms === null ? [] : [row('change of a logit', short(logit_rms), 'root mean square')]),
    perplexity('perplexity', quality.perplexity, 'perplexity', 'as if it chose among so many equal tokens'),
    perplexity('base_perplexity', quality.base_perplexity, 'perplexity of the original', 'on the same tokens'),
    row('perplexity, change', change(quality.ln_ratio), 'both on the same tokens', 'ln_ratio', change),
  ];
}

/** `+0.4 %`: what a difference of logarithms makes of the perplexity. */
export function change(lnRatio: number): string {
  const percent = 100 * Math.expm1(lnRatio);
  return `${percent < 0 ? '−' : '+'}${Math.abs(percent) < 9.95 ? Math.abs(percent).toPrecision(2) : Math.abs(percent).toFixed(0)} %`;
}

/** `KL 0.0073 ± 0.0004` without its name. */
export function klEstimate({ kl, intervals }: Pick<Quality, 'kl' | 'intervals'>): string {
  return formatEstimate(kl.mean, intervals?.kl_mean);
}

function share(x: number): string {
  return `${(100 * x).toFixed(2)} %`;
}

function short(x: number): string {
  return x === 0 ? '0' : Math.abs(x) >= 0.0001 ? x.toPrecision(3) : x.toExponential(1);
}
