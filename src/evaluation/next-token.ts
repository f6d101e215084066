import { meanOf } from './statistics.js';

/**
 * Scores of the tokens that follow: -log softmax(logits)[target] for each position, put together from pieces of the vocabulary.
 */
export class NextToken {
  /** Largest logit so far, sum of exp(logit - largest), logit of the target. */
  readonly #max: Float64Array;
  readonly #sum: Float64Array;
  readonly #target: Float64Array;

  constructor(readonly positions: number) {
    this.#max = new Float64Array(positions).fill(-Infinity);
    this.#sum = new Float64Array(positions);
    this.#target = new Float64Array(positions);
  }

  /**
   * Enters a piece of the vocabulary.
   * @param logSumExp [positions, 2]: m = max logit, sum exp(logit - m)
   * @param picked [positions, 1]: the target's logit, 0 where it lies in another piece
   */
  add(logSumExp: Float32Array | Float64Array, picked: Float32Array | Float64Array): void {
    for (let t = 0; t < this.positions; t++) this.enter(t, logSumExp[2 * t]!, logSumExp[2 * t + 1]!, picked[t]!);
  }

  /** Enters a piece of the vocabulary at position t. */
  enter(t: number, m: number, sum: number, picked: number): void {
    const largest = Math.max(this.#max[t]!, m);
    this.#sum[t] = this.#sum[t]! * Math.exp(this.#max[t]! - largest) + sum * Math.exp(m - largest);
    this.#max[t] = largest;
    this.#target[t]! += picked;
  }

  /** Largest logit of position t so far. */
  max(t: number): number {
    return this.#max[t]!;
  }

  /** sum exp(logit - max) of position t so far. */
  sum(t: number): number {
    return this.#sum[t]!;
  }

  /** log sum exp(logit) of position t. */
  logSumExp(t: number): number {
    return this.#max[t]! + Math.log(this.#sum[t]!);
  }

  /** Negative log likelihood in nats, of what follows position t. */
  nll(t: number): number {
    return this.logSumExp(t) - this.#target[t]!;
  }
}

export interface Perplexity {
  /** exp of the mean negative log likelihood. */
  readonly perplexity: number;
  /** Its standard error: perplexity times that of the mean. */
  readonly perplexity_error: number;
  /** Nats per token. */
  readonly mean_nll: number;
  /** Tokens that were predicted. */
  readonly scored: number;
}

/** Perplexity of scored tokens, as llama-perplexity computes it and its error. */
export function perplexityOf(nlls: Float64Array): Perplexity {
  const { mean, error } = meanOf(nlls);
  const perplexity = Math.exp(mean);
  return { perplexity, perplexity_error: perplexity * error, mean_nll: mean, scored: nlls.length };
}
