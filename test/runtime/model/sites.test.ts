import assert from 'node:assert/strict';
import { join } from 'node:path';
import { widen } from '../../../src/numerics/dtypes.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import type { Tensor } from '../../../src/runtime/engine/engine.js';
import { decoderOf } from '../../../src/runtime/model/decoder.js';
import { valueAt, type Decoder, type Graph, type Op, type Value } from '../../../src/runtime/model/graph.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import type { Model, Module, Weight } from '../../../src/runtime/model/model.js';
import { graphOf, headDimOf, placeOf, widthOf, type SitePlace } from '../../../src/runtime/model/sites.js';
import { largestError } from '../../support/evaluation.js';
import { referenceCases } from '../../support/reference-models.js';
import { valuesIn, valuesInExpert } from '../../support/run-decoder.js';
import { tempFolder } from '../../support/temp.js';

/** Those that differ in their ops, not in their numbers. */
const cases = referenceCases().filter(
  ({ name }) =>
    !/rope|yarn|linear|dynamic|llama3|proportional|eps|relu|gelu|window|cap|hub|null|unnormalized/.test(name),
);
const engine = createReferenceEngine();
const IDS = [3, 1, 4, 1, 5];

/** x Wᵀ + b, of x[T, C] and W[R, C]. */
function linear(x: ArrayLike<number>, w: Float32Array, bias: Float32Array | undefined, columns: number): Float64Array {
  const [tokens, rows] = [x.length / columns, w.length / columns];
  return Float64Array.from({ length: tokens * rows }, (_, i) => {
    const [t, r] = [Math.floor(i / rows), i % rows];
    let sum = bias?.[r] ?? 0;
    for (let c = 0; c < columns; c++) sum += x[t * columns + c]! * w[r * columns + c]!;
    return sum;
  });
}

const linears = (modules: readonly Module[]) =>
  modules.filter((m): m is Module & { weight: Weight } => m.classes[0] === 'Linear' && m.weight !== undefined);

class Run {
  readonly engine = engine;
  readonly #made = new Map<Graph, Promise<Record<Value, Tensor>>>();

  constructor(
    readonly model: Model,
    readonly decoder: Decoder,
  ) {}

  /** All values of a graph. */
  #values(graph: Graph): Promise<Record<Value, Tensor>> {
    const wanted = graph.ops.map(({ out }) => out);
    const { model, decoder } = this;
    const run = { model, decoder, engine, precision: 'float64' } as const;
    const made = this.#made.get(graph) ?? valuesIn(run, IDS, graph, wanted);
    this.#made.set(graph, made);
    return made;
  }

  /** The value at a place, and the columns that it is said to have. */
  async at(graph: Graph, { value, expert }: SitePlace): Promise<{ tensor: Tensor; width: number }> {
    const { model, decoder } = this;
    const values = await this.#values(graph);
    const rowsIn = (prefix: string) => (weight: Value) => model.source.tensors.get(prefix + weight)!.shape[0]!;
    const width = (wanted: Value) => widthOf(graph.ops, wanted, { hidden: decoder.hidden }, rowsIn(graph.prefix));
    if (expert === undefined) return { tensor: values[value]!, width: width(value) };
    const { mixture, index } = expert;
    const given = { x: width(mixture.in.x) };
    const found = await valuesInExpert(this, { prefix: graph.prefix, mixture, index }, values[mixture.in.x]!, [value]);
    const prefix = `${graph.prefix}${mixture.with.prefix}.${index}.`;
    return { tensor: found[value]!, width: widthOf(mixture.with.body, value, given, rowsIn(prefix)) };
  }

  async tensor(name: string): Promise<Float32Array> {
    return widen(await this.model.source.read(name), this.model.source.tensors.get(name)!.dtype);
  }
}

describe('sites', () => {
  if (cases.length === 0) {
    it('golden: sites of the architectures', function () {
      this.skip();
    });
  }
  for (const { name, write } of cases) {
    it(`golden: a Linear's output is what its weight makes of its input: ${name}`, async () => {
      const folder = join(tempFolder(), name);
      await write(folder);
      const model = await loadModel(folder);
      try {
        const run = new Run(model, decoderOf(model));
        let seen = 0;
        for (const { id, modules } of model.parts) {
          const graph = graphOf(run.decoder, id);
          // the first and the last layer, where kinds of layers alternate
          if (
            graph === undefined ||
            (id !== 'head' && ![0, 1, run.decoder.layers.length - 1].some(i => id === `layers.${i}`))
          )
            continue;
          for (const { name: module, weight, bias } of linears(modules)) {
            const input = await run.at(graph, placeOf(graph, `${module}.input`));
            const output = await run.at(graph, placeOf(graph, `${module}.output`));
            assert.deepEqual([input.tensor.shape, input.width], [[IDS.length, weight.columns], weight.columns], module);
            assert.deepEqual([output.tensor.shape, output.width], [[IDS.length, weight.rows], weight.rows], module);
            const w = await run.tensor(weight.tensor);
            const b = bias === undefined ? undefined : await run.tensor(bias);
            const expected = linear(await input.tensor.read(), w, b, weight.columns);
            const error = largestError(await output.tensor.read(), expected);
            assert.ok(error < 1e-9 * Math.max(...expected.map(Math.abs)), `${module}: ${error}`);
            seen++;
          }
          const attention = graph.ops.find((op): op is Op<'attention'> => op.op === 'attention');
          if (attention === undefined) continue;
          const { heads, kvHeads, headDim } = attention.with;
          assert.equal(headDimOf(graph), headDim);
          for (const [vector, count] of [
            ['q', heads],
            ['k', kvHeads],
            ['v', kvHeads],
          ] as const) {
            const place = placeOf(graph, `${graph.prefix}self_attn.${vector}`);
            assert.deepEqual(place, { value: valueAt(graph, `self_attn.${vector}`) });
            assert.equal(place.value, attention.in[vector]);
            const { tensor, width } = await run.at(graph, place);
            assert.deepEqual([tensor.shape, width], [[IDS.length, count * headDim], count * headDim]);
          }
        }
        assert.ok(seen >= 8, `${seen} Linears`);
      } finally {
        await model.source.close();
      }
    });
  }

  const mixture: Op<'experts'> = {
    op: 'experts',
    in: { x: 'norm', routes: 'routes' },
    out: 'mlp',
    with: {
      count: 4,
      prefix: 'mlp.experts',
      body: [
        { op: 'linear', in: { x: 'x', weight: 'up_proj.weight' }, with: {}, out: 'up' },
        { op: 'linear', in: { x: 'up', weight: 'down_proj.weight' }, with: {}, out: 'output' },
      ],
    },
  };
  const graph: Pick<Graph, 'ops' | 'aliases' | 'prefix'> = {
    prefix: 'model.layers.3.',
    aliases: { residual: 'between' },
    ops: [
      { op: 'linear', in: { x: 'hidden', weight: 'self_attn.v_proj.weight' }, with: {}, out: 'v' },
      {
        op: 'attention',
        in: { q: 'q', k: 'k', v: 'v', positions: 'positions' },
        with: { heads: 4, kvHeads: 2, headDim: 3, scale: 1, window: null, cap: null },
        out: 'self_attn.attention',
      },
      { op: 'add', in: { a: 'hidden', b: 'self_attn.attention' }, with: {}, out: 'between' },
      mixture,
    ],
  };

  it('that experts share lie outside of them, their own inside', () => {
    const expert = { mixture, index: 2 };
    assert.deepEqual(placeOf(graph, 'model.layers.3.mlp.experts.2.up_proj.input'), { value: 'norm' });
    assert.deepEqual(placeOf(graph, 'model.layers.3.mlp.experts.2.up_proj.output'), { value: 'up', expert });
    assert.deepEqual(placeOf(graph, 'model.layers.3.mlp.experts.2.down_proj.input'), { value: 'up', expert });
  });

  it('are values of the graph by any of their names', () => {
    for (const name of ['residual', 'between'])
      assert.deepEqual(placeOf(graph, `model.layers.3.${name}`), { value: 'between' });
    assert.deepEqual(placeOf(graph, 'model.layers.3.hidden'), { value: 'hidden' });
  });

  it('that a part does not have are refused', () => {
    for (const site of [
      'self_attn.v_proj.input',
      'model.layers.2.self_attn.v_proj.input',
      'model.layers.3.self_attn.v_proj',
      'model.layers.3.self_attn.v_proj.x',
      'model.layers.3.self_attn.o_proj.input',
      'model.layers.3.mlp.k',
      'model.layers.3.mlp.experts.4.up_proj.input',
      'model.layers.3.mlp.experts.up_proj.input',
      'model.layers.3.mlp.experts.1.gate_proj.output',
      'model.layers.3.toString',
    ])
      assert.throws(
        () => placeOf(graph, site),
        new RegExp(`no site ${site.replace(/^model\.layers\.3\./, '')}$`),
        site,
      );
  });

  it('have no width that nothing tells', () => {
    const width = (value: Value) => widthOf(graph.ops, value, { hidden: 8 }, () => 5);
    assert.deepEqual([width('v'), width('self_attn.attention'), width('between')], [5, 12, 8]);
    assert.throws(() => width('routes'), /nothing computes routes/);
  });
});
