import { perplexityOf, type Perplexity } from './next-token.js';
import { meanOf, quantile } from './statistics.js';

/** What is kept of two models at n scored positions, one number each. */
export interface Scores {
  /** Negative log likelihood of the true token, in nats. */
  readonly baseNll: Float64Array;
  readonly modelNll: Float64Array;
  /** KL(base || model), in nats. */
  readonly kl: Float64Array;
  /** 1 where both have the same token at the top; the first of equals is the top. */
  readonly sameTop: Float64Array;
  /** p_model - p_base of the true token. */
  readonly deltaP: Float64Array;
  /** Mean over the vocabulary of (model - base)², of logits; null where logits are not known. */
  readonly logitSquares: Float64Array | null;
}

/** Room for n positions. */
export function scoresFor(n: number, { logits }: { logits: boolean }): Scores {
  return {
    baseNll: new Float64Array(n),
    modelNll: new Float64Array(n),
    kl: new Float64Array(n),
    sameTop: new Float64Array(n),
    deltaP: new Float64Array(n),
    logitSquares: logits ? new Float64Array(n) : null,
  };
}

/** Spread of KL(base || model) over positions, in nats. */
export interface KlFigures {
  readonly mean: number;
  /** Standard error of the mean, positions being independent. */
  readonly error: number;
  readonly median: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p99_9: number;
  readonly max: number;
}

/** What a model has lost against its base. */
export interface Comparison extends Perplexity {
  readonly base_perplexity: number;
  readonly base_perplexity_error: number;
  readonly base_mean_nll: number;
  /** ln(perplexity / base_perplexity) and its standard error, which knows that both saw the same tokens. */
  readonly ln_ratio: number;
  readonly ln_ratio_error: number;
  readonly kl: KlFigures;
  /** Share of positions. */
  readonly same_top1: number;
  readonly same_top1_error: number;
  /** Root of the mean square change of the true token's probability. */
  readonly rms_delta_p: number;
  /** Root of the mean square change of a logit. */
  readonly logit_rms: number | null;
}

/** Summary of one position or more, as llama-perplexity's: quantiles are linear between neighbours. */
export function comparisonOf(scores: Scores): Comparison {
  const { baseNll, modelNll, kl, sameTop, deltaP, logitSquares } = scores;
  const base = perplexityOf(baseNll);
  const ratio = meanOf(modelNll.map((nll, i) => nll - baseNll[i]!));
  const same = meanOf(sameTop);
  const sorted = kl.slice().sort();
  return {
    ...perplexityOf(modelNll),
    base_perplexity: base.perplexity,
    base_perplexity_error: base.perplexity_error,
    base_mean_nll: base.mean_nll,
    ln_ratio: ratio.mean,
    ln_ratio_error: ratio.error,
    kl: {
      ...meanOf(kl),
      median: quantile(sorted, 0.5),
      p90: quantile(sorted, 0.9),
      p95: quantile(sorted, 0.95),
      p99: quantile(sorted, 0.99),
      p99_9: quantile(sorted, 0.999),
      max: quantile(sorted, 1),
    },
    same_top1: same.mean,
    same_top1_error: same.error,
    rms_delta_p: Math.sqrt(meanOf(deltaP.map(d => d * d)).mean),
    logit_rms: logitSquares === null ? null : Math.sqrt(meanOf(logitSquares).mean),
  };
}
