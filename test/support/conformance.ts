import assert from 'node:assert/strict';
import type { Engine, HostArray, Program, Tensor } from '../../src/runtime/engine/engine.js';
import { createReferenceEngine } from '../../src/runtime/engine/reference/engine.js';
import type { Value } from '../../src/runtime/model/graph.js';
import { slice } from '../../src/runtime/model/slice.js';
import { attentionCases } from './conformance/attention.js';
import { draws, type Case, type Numbers } from './conformance/cases.js';
import { assertRows, type Tolerance } from './conformance/compare.js';
import { fakeQuantizeCases } from './conformance/fake-quantize.js';
import { opCases } from './conformance/ops.js';
import { layerArrays, llamaLayer, SMALL, sliceCases } from './conformance/slices.js';

type Arrays = Readonly<Record<Value, Numbers>>;

/**
 * What every engine has to be: op by op and slice by slice as near to the reference as `tolerance` says, and well-behaved.
 * @param open the engine, or why it cannot run here
 */
export function conformance(
  name: string,
  open: () => Promise<Engine | { skip: string }>,
  { tolerance = 1e-5, codes = 'equal' }: Partial<Tolerance> = {},
): void {
  describe(`the engine ${name} conforms`, () => {
    const reference = createReferenceEngine();
    let engine: Engine;

    before(async function () {
      const opened = await open();
      if ('skip' in opened) {
        console.log(`    does not run here: ${opened.skip}`);
        this.skip();
      }
      engine = opened;
    });
    after(async () => {
      if (engine) await engine.close();
    });

    const agree = async (
      made: Program,
      { slice, arrays, codes: exact = false }: Omit<Case, 'title'>,
    ): Promise<void> => {
      const [actual, expected] = [
        await runOnce(engine, made, arrays),
        await runOnce(reference, reference.compile(slice), arrays),
      ];
      for (const value of slice.outputs) {
        const { shape, data } = expected[value]!;
        assert.deepEqual(actual[value]!.shape, shape, `${value}: shape`);
        const allowed: Tolerance = exact
          ? { tolerance: codes === 'equal' ? 0 : tolerance, codes }
          : { tolerance, codes: 'equal' };
        assertRows(actual[value]!.data, data, shape.at(-1)!, value, allowed);
      }
    };

    const groups: readonly (readonly [string, Case[]])[] = [
      ['ops', opCases()],
      ['attention', attentionCases()],
      ['fake quantization', fakeQuantizeCases()],
      ['slices', sliceCases()],
    ];
    for (const [group, cases] of groups) {
      describe(group, () => {
        for (const c of cases) it(c.title, () => agree(engine.compile(c.slice), c));
      });
    }

    describe('programs', () => {
      const layer = slice(llamaLayer(SMALL), ['output', 'self_attn.k']);
      const arrays = (B: number, S: number, seed = 1): Arrays => layerArrays(SMALL, { B, S }, seed);

      it('run with other shapes from run to run', async () => {
        const program = engine.compile(layer);
        for (const [B, S] of [
          [1, 1],
          [2, 5],
          [1, 17],
          [3, 5],
          [1, 1],
        ] as const) {
          await agree(program, { slice: layer, arrays: arrays(B, S) });
        }
      });

      it('run with the weights of many layers', async () => {
        const program = engine.compile(layer);
        for (let seed = 1; seed <= 12; seed++) await agree(program, { slice: layer, arrays: arrays(1, 3, seed) });
      });

      it('are the same for equal slices', async () => {
        const [a, b] = [engine.compile(layer), engine.compile(structuredClone(layer))];
        const given = arrays(2, 4);
        assert.deepEqual(await runOnce(engine, a, given), await runOnce(engine, b, given));
      });

      it('see an array that was rewritten between two runs', async () => {
        const program = engine.compile(layer);
        const given = arrays(1, 4);
        await agree(program, { slice: layer, arrays: given });
        const { data } = given['mlp.up_proj.weight']!;
        data.forEach((w, i) => (data[i] = -2 * w));
        await agree(program, { slice: layer, arrays: given });
      });

      it('give the same bits again, and leave their inputs as they were', async () => {
        const program = engine.compile(layer);
        const tensors = put(engine, arrays(2, 5));
        const [a, b] = [await readAll(await program.run(tensors)), await readAll(await program.run(tensors))];
        assert.deepEqual(a, b);
        const { hidden } = arrays(2, 5);
        assert.deepEqual([...(await tensors['hidden']!.read())], [...hidden!.data]);
      });

      it('read what another program gave, without a way over the host', async () => {
        const front = slice(llamaLayer(SMALL), ['self_attn.attention']);
        const back = slice(llamaLayer(SMALL), ['output'], new Set(['self_attn.attention']));
        const [given, whole] = [arrays(2, 5), slice(llamaLayer(SMALL), ['output'])];
        const tensors = put(engine, given);
        const attended = await engine.compile(front).run(tensors);
        const { output } = await engine.compile(back).run({ ...tensors, ...attended });
        const expected = await runOnce(reference, reference.compile(whole), given);
        assertRows(await output!.read(), expected['output']!.data, SMALL.hidden, 'output', {
          tolerance,
          codes: 'equal',
        });
      });

      it('give outputs that outlive their inputs and each other', async () => {
        const program = engine.compile(layer);
        const given = arrays(1, 6);
        const tensors = put(engine, given);
        const outputs = await program.run(tensors);
        Object.values(tensors).forEach(tensor => tensor.dispose());
        outputs['self_attn.k']!.dispose();
        await program.run(put(engine, arrays(1, 6, 2)));
        const expected = await runOnce(reference, reference.compile(layer), given);
        assertRows(await outputs['output']!.read(), expected['output']!.data, SMALL.hidden, 'output', {
          tolerance,
          codes: 'equal',
        });
      });

      it('give an input that is wanted as an array of its own', async () => {
        const through = slice(llamaLayer(SMALL), ['hidden', 'input_layernorm'], new Set(['hidden']));
        const given = arrays(1, 3);
        const tensors = put(engine, given);
        const { hidden } = await engine.compile(through).run(tensors);
        tensors['hidden']!.dispose();
        assert.deepEqual([...(await hidden!.read())], [...given['hidden']!.data]);
      });

      it('compute a sequence as if it were alone', async () => {
        const program = engine.compile(layer);
        const all = arrays(3, 4);
        const second = draws(1).floats([4, SMALL.hidden]);
        second.data.set(all['hidden']!.data.subarray(4 * SMALL.hidden, 8 * SMALL.hidden));
        const [one, three] = [
          await runOnce(engine, program, { ...all, hidden: second }),
          await runOnce(engine, program, all),
        ];
        const from = three['output']!.data.slice(4 * SMALL.hidden, 8 * SMALL.hidden);
        assertRows(from, one['output']!.data, SMALL.hidden, 'second sequence', { tolerance, codes: 'equal' });
      });

      it('run a hundred times without filling the memory of the device', async () => {
        const program = engine.compile(layer);
        for (let i = 0; i < 100; i++) {
          const tensors = put(engine, arrays(1, 2, 5));
          const outputs = await program.run(tensors);
          [...Object.values(tensors), ...Object.values(outputs)].forEach(tensor => tensor.dispose());
        }
        await agree(program, { slice: layer, arrays: arrays(1, 2, 5) });
      });
    });
  });
}

/** Arrays where the engine computes, of its own kind of floats. */
function put(engine: Engine, arrays: Arrays): Record<Value, Tensor> {
  const own = (data: Numbers['data']): HostArray =>
    data instanceof Float32Array && engine.precision === 'float64' ? Float64Array.from(data) : data;
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { shape, data }]) => [name, engine.tensor(own(data), shape)]),
  );
}

type Results = Record<Value, { shape: readonly number[]; data: Float32Array | Float64Array }>;

async function readAll(tensors: Readonly<Record<Value, Tensor>>): Promise<Results> {
  const results: Results = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    results[name] = { shape: tensor.shape, data: (await tensor.read()).slice() };
  }
  return results;
}

/** Runs on fresh tensors, and frees everything. */
async function runOnce(engine: Engine, program: Program, arrays: Arrays): Promise<Results> {
  const tensors = put(engine, arrays);
  const outputs = await program.run(tensors);
  const results = await readAll(outputs);
  [...Object.values(tensors), ...Object.values(outputs)].forEach(tensor => tensor.dispose());
  return results;
}
