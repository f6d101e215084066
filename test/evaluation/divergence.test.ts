import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Divergence } from '../../src/evaluation/divergence.js';
import { comparisonOf, scoresFor, type Scores } from '../../src/evaluation/scores.js';
import { createReferenceEngine } from '../../src/runtime/engine/reference/engine.js';
import type { Op } from '../../src/runtime/model/graph.js';
import { slice } from '../../src/runtime/model/slice.js';
import { normal } from '../support/numbers.js';

const T = 3;

const engine = createReferenceEngine();
const ops: Op[] = [{ op: 'divergence', out: 'sums', in: { a: 'a', b: 'b' }, with: {} }];
const program = engine.compile(slice(ops, ['sums']));

/** Scores of [T, C] logits that pass through the engine in pieces that begin at `cuts`. */
async function scored(
  a: Float32Array,
  b: Float32Array,
  targets: readonly number[],
  cuts: readonly number[],
  { backwards = false }: { backwards?: boolean } = {},
): Promise<Scores> {
  const C = a.length / T;
  const divergence = new Divergence(T, C);
  const pieces = cuts.map((from, i) => [from, cuts[i + 1] ?? C] as const);
  for (const [from, to] of backwards ? pieces.reverse() : pieces) {
    const part = (x: Float32Array) => {
      const data = Array.from({ length: T }, (_, t) => [...x.subarray(t * C + from, t * C + to)]).flat();
      return engine.tensor(Float32Array.from(data), [T, to - from]);
    };
    const { sums } = await program.run({ a: part(a), b: part(b) });
    const picked = (x: Float32Array) => Float64Array.from(targets, (c, t) => (c >= from && c < to ? x[t * C + c]! : 0));
    divergence.add({ from, sums: await sums!.read(), basePicked: picked(a), modelPicked: picked(b) });
  }
  const scores = scoresFor(T, { logits: true });
  for (let t = 0; t < T; t++) divergence.score(t, scores, t);
  return scores;
}

/** The same by the definitions. */
function expected(a: Float32Array, b: Float32Array, targets: readonly number[]): Scores {
  const C = a.length / T;
  const scores = scoresFor(T, { logits: true });
  for (let t = 0; t < T; t++) {
    const [p, q] = [a, b].map(x => logSoftmax(x.subarray(t * C, (t + 1) * C))) as [number[], number[]];
    scores.baseNll[t] = -p[targets[t]!]!;
    scores.modelNll[t] = -q[targets[t]!]!;
    scores.kl[t] = p.reduce((sum, x, c) => sum + Math.exp(x) * (x - q[c]!), 0);
    scores.sameTop[t] = p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)) ? 1 : 0;
    scores.deltaP[t] = Math.exp(q[targets[t]!]!) - Math.exp(p[targets[t]!]!);
    for (let c = t * C; c < (t + 1) * C; c++) scores.logitSquares![t]! += (a[c]! - b[c]!) ** 2 / C;
  }
  return scores;
}

function logSoftmax(x: Float32Array): number[] {
  const m = Math.max(...x);
  const lse = m + Math.log(x.reduce((sum, v) => sum + Math.exp(v - m), 0));
  return Array.from(x, v => v - lse);
}

function assertNear(actual: Scores, wanted: Scores): void {
  for (const name of ['baseNll', 'modelNll', 'kl', 'sameTop', 'deltaP', 'logitSquares'] as const) {
    actual[name]!.forEach((value, t) => {
      const e = wanted[name]![t]!;
      assert.ok(Math.abs(value - e) <= 1e-11 * Math.max(1, Math.abs(e)), `${name}[${t}]: ${value}, expected ${e}`);
    });
  }
}

/** Two rows of logits, targets and cuts of a vocabulary. */
const cases = fc
  .record({ C: fc.integer({ min: 1, max: 60 }), seed: fc.integer(), sigma: fc.constantFrom(0.1, 3, 30) })
  .chain(({ C, seed, sigma }) =>
    fc.record({
      a: fc.constant(normal(T * C, seed, sigma)),
      noise: fc.constant(normal(T * C, seed + 1, sigma)),
      share: fc.constantFrom(0, 1e-4, 0.3, 1),
      targets: fc.array(fc.integer({ min: 0, max: C - 1 }), { minLength: T, maxLength: T }),
      cuts: fc
        .uniqueArray(fc.integer({ min: 0, max: C - 1 }), { maxLength: 4 })
        .map(list => [...new Set([0, ...list.sort((x, y) => x - y)])]),
      backwards: fc.boolean(),
    }),
  );

describe('Divergence', () => {
  it('is what the definitions say, from pieces of the vocabulary in either order', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ a, noise, share, targets, cuts, backwards }) => {
        const b = a.map((x, i) => x + share * noise[i]!);
        assertNear(await scored(a, b, targets, cuts, { backwards }), expected(a, b, targets));
      }),
    );
  });

  it('is exactly 0 between a model and itself', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ a, targets, cuts, backwards }) => {
        const { kl, sameTop, deltaP, logitSquares } = await scored(a, a, targets, cuts, { backwards });
        for (const t of [0, 1, 2]) {
          assert.ok(Object.is(kl[t], 0), `kl ${kl[t]}`);
          assert.deepEqual([sameTop[t], deltaP[t], logitSquares![t]], [1, 0, 0]);
        }
      }),
    );
  });

  it('does not change when all logits of one model are shifted', async () => {
    const a = normal(T * 8, 3);
    const shifted = a.map(x => x + 64);
    const { kl } = await scored(a, shifted, [0, 0, 0], [0, 4]);
    for (const k of kl) assert.ok(k >= 0 && k < 1e-5, String(k));
  });

  it('takes the first of equal logits for the top', async () => {
    const a = Float32Array.of(1, 2, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0);
    const b = Float32Array.of(1, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1);
    for (const cuts of [[0], [0, 2], [0, 1, 2, 3]]) {
      for (const backwards of [false, true]) {
        const { sameTop } = await scored(a, b, [0, 0, 0], cuts, { backwards });
        assert.deepEqual([...sameTop], [1, 0, 0], JSON.stringify({ cuts, backwards }));
      }
    }
  });
});

describe('comparisonOf', () => {
  it('summarises positions', () => {
    const comparison = comparisonOf({
      baseNll: Float64Array.of(1, 2, 3),
      modelNll: Float64Array.of(2, 3, 4),
      kl: Float64Array.of(0.3, 0.1, 0.2),
      sameTop: Float64Array.of(1, 0, 1),
      deltaP: Float64Array.of(0.3, -0.4, 0),
      logitSquares: Float64Array.of(4, 9, 14),
    });
    assert.equal(comparison.perplexity, Math.exp(3));
    assert.equal(comparison.base_perplexity, Math.exp(2));
    assert.deepEqual([comparison.ln_ratio, comparison.ln_ratio_error], [1, 0]);
    const { median, p99, max } = comparison.kl;
    assert.deepEqual([median, max], [0.2, 0.3]);
    assert.ok(Math.abs(p99 - 0.298) < 1e-12);
    assert.equal(comparison.same_top1, 2 / 3);
    assert.ok(Math.abs(comparison.rms_delta_p - 0.5 / Math.sqrt(3)) < 1e-12);
    assert.equal(comparison.logit_rms, 3);
    assert.equal(comparison.scored, 3);
  });
});
