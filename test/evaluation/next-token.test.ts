import assert from 'node:assert/strict';
import { NextToken, perplexityOf } from '../../src/evaluation/next-token.js';
import { normal } from '../support/numbers.js';

describe('NextToken', () => {
  it('puts the log likelihood together from pieces in any order', () => {
    const logits = normal(50, 1, 8);
    const target = 33;
    const expected = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[target]!;
    const cuts = [
      [[0, 50]],
      [
        [0, 7],
        [7, 20],
        [20, 50],
      ],
      [
        [20, 50],
        [0, 20],
      ],
    ] as const;
    for (const pieces of cuts) {
      const scores = new NextToken(1);
      for (const [from, to] of pieces) enter(scores, logits, from, to, target);
      assert.ok(Math.abs(scores.nll(0) - expected) < 1e-12, `${scores.nll(0)}, ${expected}`);
    }
  });

  it('gives perplexity with its error', () => {
    const { perplexity, perplexity_error, mean_nll, scored } = perplexityOf(Float64Array.of(1, 3));
    assert.deepEqual([perplexity, perplexity_error, mean_nll, scored], [Math.exp(2), Math.exp(2), 2, 2]);
    assert.equal(perplexityOf(Float64Array.of(2)).perplexity_error, 0);
  });
});

function enter(scores: NextToken, logits: Float32Array, from: number, to: number, target: number): void {
  const piece = logits.subarray(from, to);
  const m = Math.max(...piece);
  const sum = piece.reduce((s, x) => s + Math.exp(x - m), 0);
  scores.add(Float64Array.of(m, sum), Float64Array.of(target >= from && target < to ? logits[target]! : 0));
}
