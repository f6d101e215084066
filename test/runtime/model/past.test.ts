import assert from 'node:assert/strict';
import { PAST, stored, withPast } from '../../../src/runtime/model/past.js';
import { dress } from '../../../src/runtime/model/dress.js';
import type { Graph } from '../../../src/runtime/model/graph.js';
import { slice } from '../../../src/runtime/model/slice.js';
import { normalizeArgs } from '../../../src/schemes/args.js';
import { layerArrays, llamaLayer, SMALL } from '../../support/conformance/slices.js';
import { evaluate, type Given } from '../../support/evaluate.js';

const LAYER: Graph = { ops: llamaLayer(SMALL), prefix: 'model.layers.0.', weights: [], aliases: {}, ropes: ['rope'] };

/** Rows [from, to) of a layer's arrays of one sequence: hidden states, positions and angles. */
function rowsOf(arrays: Readonly<Record<string, Given>>, from: number, to: number): Record<string, Given> {
  const cut = Object.entries(arrays).map(([name, { shape, data }]) => {
    if (!['hidden', 'positions', 'rope.cos', 'rope.sin'].includes(name)) return [name, { shape, data }] as const;
    const width = data.length / shape[0]!;
    const rest = shape.slice(1);
    return [name, { shape: [to - from, ...rest], data: data.slice(from * width, to * width) }] as const;
  });
  return Object.fromEntries(cut);
}

describe('withPast', () => {
  it('lets attention read what earlier runs stored, and nothing else changes', () => {
    const after = withPast(LAYER);
    assert.deepEqual(
      after.ops.filter(({ op }) => op !== 'attention'),
      LAYER.ops.filter(({ op }) => op !== 'attention'),
    );
    const { inputs } = slice(after.ops, ['output']);
    const more = inputs.filter(input => !slice(LAYER.ops, ['output']).inputs.includes(input));
    assert.deepEqual(new Set(more), new Set(Object.values(PAST)));
    assert.ok(!slice(LAYER.ops, ['output']).inputs.includes(PAST.k), 'the graph itself is as it was');
  });

  it('run in two pieces, a layer gives what it gives in one', async () => {
    const S = 7;
    const arrays = layerArrays(SMALL, { B: 1, S }, 3);
    const { output: whole } = await evaluate(slice(LAYER.ops, ['output']), arrays);
    const { k, v } = stored(LAYER);
    for (const cut of [1, 4, 6]) {
      const first = await evaluate(slice(LAYER.ops, ['output', k, v]), rowsOf(arrays, 0, cut));
      const past = {
        [PAST.k]: first[k]!,
        [PAST.v]: first[v]!,
        [PAST.positions]: { shape: [cut], data: rowsOf(arrays, 0, cut)['positions']!.data },
      };
      const next = await evaluate(slice(withPast(LAYER).ops, ['output']), { ...rowsOf(arrays, cut, S), ...past });
      const both = [...first['output']!.data, ...next['output']!.data];
      both.forEach((value, i) => assert.ok(Math.abs(value - whole!.data[i]!) < 1e-12, `${cut}: ${i}`));
    }
  });

  it('has no meaning without attention', () => {
    assert.throws(() => withPast({ ...LAYER, ops: LAYER.ops.slice(0, 1) }), /without attention/);
  });
});

describe('stored', () => {
  it('are keys and values as attention reads them: rotated', () => {
    assert.deepEqual(stored(LAYER), { k: 'self_attn.k', v: 'self_attn.v' });
  });

  it('are the quantized ones where a checkpoint quantizes them', () => {
    const { args } = normalizeArgs({ num_bits: 8, type: 'int', strategy: 'tensor', dynamic: false, symmetric: true });
    const dressed = dress(LAYER, {
      linear: () => ({}),
      attention: () => ({ k: args!, v: args! }),
      transforms: () => [],
      has: () => true,
    });
    const { k, v } = stored(dressed);
    for (const [value, from] of [
      [k, 'self_attn.k'],
      [v, 'self_attn.v'],
    ] as const) {
      const op = dressed.ops.find(({ out }) => out === value)!;
      assert.deepEqual([op.op, 'x' in op.in && op.in.x], ['fake_quantize', from]);
    }
  });
});
