import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Op, Value } from '../../../src/runtime/model/graph.js';
import { slice, stages } from '../../../src/runtime/model/slice.js';
import { draws } from '../../support/conformance/cases.js';
import { layerArrays, llamaLayer, SMALL } from '../../support/conformance/slices.js';
import { evaluate, type Given } from '../../support/evaluate.js';

const LAYER = llamaLayer(SMALL);

describe('slice', () => {
  it('takes the ops that lead to the wanted values, and what they read', () => {
    const { ops, inputs, outputs } = slice(LAYER, ['self_attn.k', 'self_attn.v']);
    const names = ['input_layernorm', 'self_attn.k_proj', 'self_attn.v', 'self_attn.k'];
    assert.deepEqual(new Set(ops.map(({ out }) => out)), new Set(names));
    const weights = ['input_layernorm.weight', 'self_attn.k_proj.weight', 'self_attn.v_proj.weight'];
    assert.deepEqual(new Set(inputs), new Set(['hidden', 'rope.cos', 'rope.sin', ...weights]));
    assert.deepEqual(outputs, ['self_attn.k', 'self_attn.v']);
  });

  it('reads values that are given instead of computing them', () => {
    const { ops, inputs } = slice(LAYER, ['mlp.gated'], new Set(['between']));
    const first = ops[0]!;
    assert.deepEqual(
      [first.out, first.in],
      ['post_attention_layernorm', { x: 'between', weight: 'post_attention_layernorm.weight' }],
    );
    assert.ok(inputs.includes('between') && !inputs.includes('hidden'));
  });

  it('refuses what nothing computes', () => {
    assert.throws(() => slice(LAYER, ['hidden']), /^Error: nothing computes hidden$/);
    assert.deepEqual(slice(LAYER, ['hidden'], new Set(['hidden'])).inputs, ['hidden']);
  });

  it('cut anywhere, it computes what the whole computes', async () => {
    const arrays = layerArrays(SMALL, { B: 2, S: 3 }, 1);
    const values = LAYER.map(({ out }) => out);
    const whole = await evaluate(slice(LAYER, values), arrays);
    const subsets = fc.subarray(values, { minLength: 1 });
    const property = fc.asyncProperty(subsets, subsets, async (cut, wanted) => {
      const front = await evaluate(slice(LAYER, cut), arrays);
      const back = await evaluate(slice(LAYER, wanted, new Set(cut)), { ...arrays, ...front });
      for (const value of wanted) assert.deepEqual(back[value], whole[value], value);
    });
    await fc.assert(property, { numRuns: 15 });
  });
});

const [WIDTH, INNER, EXPERTS, TOKENS] = [12, 20, 3, 7];

const BODY: readonly Op[] = [
  { op: 'linear', in: { x: 'x', weight: 'gate_proj.weight' }, with: {}, out: 'gate_proj' },
  { op: 'linear', in: { x: 'x', weight: 'up_proj.weight' }, with: {}, out: 'up_proj' },
  { op: 'gated', in: { gate: 'gate_proj', up: 'up_proj' }, with: { act: 'silu' }, out: 'gated' },
  { op: 'linear', in: { x: 'gated', weight: 'down_proj.weight' }, with: {}, out: 'output' },
];

/** `from` -> `to`: norm, router, mixture, residual. */
function mixture(name: string, from: Value, to: Value): Op[] {
  return [
    {
      op: 'rms_norm',
      in: { x: from, weight: `${name}.norm.weight` },
      with: { eps: 1e-6, offset: 0, size: WIDTH },
      out: `${name}.norm`,
    },
    { op: 'linear', in: { x: `${name}.norm`, weight: `${name}.gate.weight` }, with: {}, out: `${name}.gate` },
    { op: 'route', in: { x: `${name}.gate` }, with: { top: 2, normalize: true }, out: `${name}.routes` },
    {
      op: 'experts',
      in: { x: `${name}.norm`, routes: `${name}.routes` },
      with: { count: EXPERTS, prefix: `${name}.experts`, body: BODY },
      out: name,
    },
    { op: 'add', in: { a: from, b: name }, with: {}, out: to },
  ];
}

function mixtureArrays(names: readonly string[]): Record<Value, Given> {
  const draw = draws(5);
  const weights = names.flatMap(name => [
    [`${name}.norm.weight`, draw.floats([WIDTH])] as const,
    [`${name}.gate.weight`, draw.floats([EXPERTS, WIDTH])] as const,
    ...Array.from({ length: EXPERTS }, (_, e) => [
      [`${name}.experts.${e}.gate_proj.weight`, draw.floats([INNER, WIDTH], 0.3)] as const,
      [`${name}.experts.${e}.up_proj.weight`, draw.floats([INNER, WIDTH], 0.3)] as const,
      [`${name}.experts.${e}.down_proj.weight`, draw.floats([WIDTH, INNER], 0.3)] as const,
    ]).flat(),
  ]);
  return { hidden: draw.floats([TOKENS, WIDTH]), ...Object.fromEntries(weights) };
}

/** sum_e routes[:, e] expert_e(x), as `Ops` defines it. */
async function combine(
  { in: { x, routes }, with: { count, prefix } }: Op<'experts'>,
  values: Record<Value, Given>,
): Promise<Given> {
  const data = new Float64Array(TOKENS * WIDTH);
  for (let e = 0; e < count; e++) {
    const own = Object.entries(values).filter(([name]) => name.startsWith(`${prefix}.${e}.`));
    const weights = own.map(([name, array]) => [name.slice(`${prefix}.${e}.`.length), array] as const);
    const { output } = await evaluate(slice(BODY, ['output']), { ...Object.fromEntries(weights), x: values[x]! });
    output!.data.forEach((v, i) => (data[i]! += values[routes]!.data[Math.floor(i / WIDTH) * count + e]! * v));
  }
  return { shape: [TOKENS, WIDTH], data };
}

/** Runs stages one after the other, each on nothing but the inputs that it names. */
async function run(
  ops: readonly Op[],
  wanted: readonly Value[],
  arrays: Record<Value, Given>,
): Promise<Record<Value, Given>> {
  const values = { ...arrays };
  for (const stage of stages({ ops }, wanted)) {
    if ('mixture' in stage) values[stage.mixture.out] = await combine(stage.mixture, values);
    else Object.assign(values, await evaluate(stage.slice, values));
  }
  return values;
}

describe('stages', () => {
  const two = [...mixture('a', 'hidden', 'between'), ...mixture('b', 'between', 'output')];

  it('of a graph without mixtures are the graph', () => {
    assert.deepEqual(stages({ ops: LAYER }, ['output', 'self_attn.q']), [
      { slice: slice(LAYER, ['self_attn.q', 'output']) },
    ]);
  });

  it('hold a mixture between slices that give what later stages read', () => {
    const [before, first, between, second, after, ...rest] = stages({ ops: two }, ['output']);
    assert.equal(rest.length, 0);
    assert.ok(before && 'slice' in before && between && 'slice' in between && after && 'slice' in after);
    assert.ok(first && 'mixture' in first && second && 'mixture' in second);
    assert.deepEqual(before.slice.outputs, ['a.norm', 'a.routes']);
    assert.deepEqual(between.slice.outputs, ['between', 'b.norm', 'b.routes']);
    assert.deepEqual(between.slice.inputs.slice(0, 2), ['hidden', 'a']);
    assert.deepEqual(after.slice.outputs, ['output']);
    assert.deepEqual(first.expert.inputs, ['x', 'gate_proj.weight', 'up_proj.weight', 'down_proj.weight']);
    assert.equal(second.mixture.out, 'b');
  });

  it('one after the other compute what the ops compute in their order, and give what the caller wants of any', async () => {
    const arrays = mixtureArrays(['a', 'b']);
    const values = { ...arrays };
    for (const op of two) {
      if (op.op === 'experts') values[op.out] = await combine(op, values);
      else Object.assign(values, await evaluate(slice([op], [op.out]), values));
    }
    const wanted = ['a.gate', 'a', 'between', 'b.routes', 'output'];
    const found = await run(two, wanted, arrays);
    for (const value of wanted) assert.deepEqual(found[value], values[value], value);
  });
});
