import assert from 'node:assert/strict';
import type { Range } from '../../src/numerics/grid.js';
import { qparams } from '../../src/numerics/qparams.js';
import { normalizeArgs } from '../../src/schemes/args.js';
import { goldenJson } from '../support/golden.js';
import { flat, type Nested } from '../support/numbers.js';
import { observeValue, valueSpec } from '../support/observe.js';

interface ObserverCase {
  observer: string;
  kwargs: Record<string, number>;
  /** [sequences, tokens, columns] each */
  batches?: readonly (readonly Nested[][])[];
  min_vals: Nested;
  max_vals: Nested;
  scale: Nested;
  zero_point: Nested;
}

interface AttentionCase {
  strategy: 'tensor' | 'attn_head';
  type: 'int' | 'float';
  symmetric: boolean;
  observer: string;
  scale: Nested;
  zero_point: Nested;
}

/** [B, heads, S, D] */
type Heads = readonly (readonly (readonly (readonly number[])[])[])[];

function assertNear(actual: ArrayLike<number>, expected: readonly number[], what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  expected.forEach((e, i) => {
    assert.ok(Math.abs(actual[i]! - e) <= 1e-6 * Math.abs(e), `${what} ${i} is ${actual[i]}, expected ${e}`);
  });
}

function assertParameters(
  range: Range,
  args: Parameters<typeof qparams>[1],
  golden: { scale: Nested; zero_point: Nested },
) {
  const { scale, zeroPoint } = qparams(range, args, 'F32');
  assertNear(scale, flat(golden.scale), 'scale');
  assert.deepEqual([...(zeroPoint ?? new Int8Array(scale.length))], flat(golden.zero_point), 'zero point');
}

describe('golden observers of values', () => {
  const cases = goldenJson<{ observers?: ObserverCase[] }>('compressed-tensors/golden.json')?.observers?.filter(
    c => c.batches !== undefined,
  );
  if (!cases?.length)
    it('golden batches', function () {
      this.skip();
    });
  cases?.forEach(({ observer, kwargs, batches, ...golden }) => {
    it(`golden observers: ${observer} ${JSON.stringify(kwargs)} of three batches`, async () => {
      const args = normalizeArgs({ num_bits: 8, symmetric: false }).args!;
      const given = batches!.map(batch => ({ x: Float32Array.from(flat(batch)), sequences: batch.length }));
      const columns = (batches![0]![0]![0] as number[]).length;
      const range = await observeValue<Range>(observer, given, valueSpec(columns, { args, options: kwargs }));
      assertNear(range.min, flat(golden.min_vals), 'min');
      assertNear(range.max, flat(golden.max_vals), 'max');
      assertParameters(range, args, golden);
    });
  });
});

describe('golden observers of attention', () => {
  const golden = goldenJson<{ attention?: AttentionCase[]; attention_inputs?: readonly Heads[] }>(
    'compressed-tensors/golden-extra.json',
  );
  if (!golden?.attention?.length)
    it('golden attention', function () {
      this.skip();
    });
  golden?.attention?.forEach(({ strategy, type, symmetric, observer, ...expected }) => {
    it(`golden attention: ${observer}, ${type} ${symmetric ? 'symmetric' : 'asymmetric'} by ${strategy}`, async () => {
      const args = normalizeArgs({ num_bits: 8, type, symmetric, strategy }).args!;
      const [heads, D] = [golden.attention_inputs![0]![0]!.length, golden.attention_inputs![0]![0]![0]![0]!.length];
      const batches = golden.attention_inputs!.map(batch => ({ x: byToken(batch), sequences: batch.length }));
      const spec = valueSpec(heads * D, { size: strategy === 'tensor' ? heads * D : D, args });
      assertParameters(await observeValue<Range>(observer, batches, spec), args, expected);
    });
  });
});

/** [B, heads, S, D] -> [B S, heads D] */
function byToken(batch: Heads): Float32Array {
  const tokens = batch.flatMap(heads => heads[0]!.map((_, s) => heads.flatMap(head => head[s]!)));
  return Float32Array.from(tokens.flat());
}
