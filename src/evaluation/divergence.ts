import { NextToken } from './next-token.js';
import type { Scores } from './scores.js';

/** Columns of the op `divergence`. */
const COLUMNS = 8;

type Floats = Float32Array | Float64Array;

/** A piece of the vocabulary: what the engine makes of base and model there. */
export interface DivergencePiece {
  /** First token of the piece. */
  readonly from: number;
  /** [positions, 8], as the op `divergence` defines it with a = base and b = model. */
  readonly sums: Floats;
  /** [positions, 1]: the logit of the true token, 0 where it lies in another piece. */
  readonly basePicked: Floats;
  readonly modelPicked: Floats;
}

/**
 * What the logits a of a base and b of a model say of each other at each position, put together from pieces of the vocabulary. With
 * p = softmax(a), q = softmax(b):
 *
 *     KL(p || q) = sum p (ln p - ln q) = sum p (a - b) - lse(a) + lse(b)
 *
 * Equal logits give equal sums, and a KL of exactly 0. Elsewhere rounding may leave a difference below 0, which no KL is: that is 0 as well.
 */
export class Divergence {
  readonly #base: NextToken;
  readonly #model: NextToken;
  /** sum exp(a - max a) (a - b) and sum (a - b)². */
  readonly #weighted: Float64Array;
  readonly #squares: Float64Array;
  readonly #baseTop: Int32Array;
  readonly #modelTop: Int32Array;

  constructor(
    readonly positions: number,
    readonly vocabulary: number,
  ) {
    this.#base = new NextToken(positions);
    this.#model = new NextToken(positions);
    this.#weighted = new Float64Array(positions);
    this.#squares = new Float64Array(positions);
    this.#baseTop = new Int32Array(positions);
    this.#modelTop = new Int32Array(positions);
  }

  /** Enters a piece of the vocabulary; pieces come in any order, each once. */
  add({ from, sums, basePicked, modelPicked }: DivergencePiece): void {
    for (let t = 0; t < this.positions; t++) {
      const at = t * COLUMNS;
      const [maxA, maxB] = [sums[at]!, sums[at + 3]!];
      enterTop(this.#baseTop, t, this.#base.max(t), maxA, from + sums[at + 2]!);
      enterTop(this.#modelTop, t, this.#model.max(t), maxB, from + sums[at + 5]!);
      const before = this.#base.max(t);
      this.#base.enter(t, maxA, sums[at + 1]!, basePicked[t]!);
      this.#model.enter(t, maxB, sums[at + 4]!, modelPicked[t]!);
      const largest = this.#base.max(t);
      this.#weighted[t] = this.#weighted[t]! * Math.exp(before - largest) + sums[at + 6]! * Math.exp(maxA - largest);
      this.#squares[t]! += sums[at + 7]!;
    }
  }

  /** KL(base || model) of position t, in nats. */
  kl(t: number): number {
    const change = this.#weighted[t]! / this.#base.sum(t);
    return Math.max(0, change - this.#base.logSumExp(t) + this.#model.logSumExp(t));
  }

  /** Writes what is known of position t to place i of the scores. */
  score(t: number, scores: Scores, i: number): void {
    const [baseNll, modelNll] = [this.#base.nll(t), this.#model.nll(t)];
    scores.baseNll[i] = baseNll;
    scores.modelNll[i] = modelNll;
    scores.kl[i] = this.kl(t);
    scores.sameTop[i] = this.#baseTop[t] === this.#modelTop[t] ? 1 : 0;
    scores.deltaP[i] = Math.exp(-modelNll) - Math.exp(-baseNll);
    if (scores.logitSquares !== null) scores.logitSquares[i] = this.#squares[t]! / this.vocabulary;
  }
}

/** The first of the largest logits is the top, whatever the order of the pieces. */
function enterTop(tops: Int32Array, t: number, max: number, m: number, index: number): void {
  if (m > max || (m === max && index < tops[t]!)) tops[t] = index;
}
