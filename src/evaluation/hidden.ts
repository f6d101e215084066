type Floats = Float32Array | Float64Array;

export interface HiddenFigures {
  /** sum (h' - h)² / sum h² over all tokens and elements. */
  readonly rel_mse: number;
  /** Mean over tokens of h · h' / (|h| |h'|). */
  readonly cosine: number;
}

/**
 * How far the hidden states h' of a model are from those of its base, h, behind one layer. The relative error is that of the whole, in which
 * the few tokens with huge states count most; the cosine counts every token alike. Sums are float64, in the order of the batches.
 */
export class HiddenError {
  #error = 0;
  #power = 0;
  #cosines = 0;
  #tokens = 0;

  constructor(readonly width: number) {}

  /** Enters a batch: [tokens, width] of both. */
  add(base: Floats, model: Floats): void {
    for (let at = 0; at < base.length; at += this.width) {
      let [error, power, modelPower, product] = [0, 0, 0, 0];
      for (let i = at; i < at + this.width; i++) {
        const [h, other] = [base[i]!, model[i]!];
        error += (other - h) ** 2;
        power += h * h;
        modelPower += other * other;
        product += h * other;
      }
      this.#error += error;
      this.#power += power;
      // no direction: as far from every other as can be, but for an equal one
      this.#cosines += error === 0 ? 1 : product === 0 ? 0 : product / Math.sqrt(power) / Math.sqrt(modelPower);
      this.#tokens++;
    }
  }

  /** Figures of one token or more. */
  figures(): HiddenFigures {
    return { rel_mse: this.#error === 0 ? 0 : this.#error / this.#power, cosine: this.#cosines / this.#tokens };
  }
}
