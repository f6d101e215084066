import assert from 'node:assert/strict';
import { gptq } from '../../../src/modifiers/gptq.js';
import type { CodesEdit, Edit, Modifier, Observation } from '../../../src/modifiers/modifier.js';
import { narrow, roundArray, widen } from '../../../src/numerics/dtypes.js';
import type { Range } from '../../../src/numerics/grid.js';
import { dequantize } from '../../../src/numerics/quantize.js';
import type { Gram } from '../../../src/observers/gram.js';
import type { Engine } from '../../../src/runtime/engine/engine.js';
import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { decoderOf } from '../../../src/runtime/model/decoder.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import type { Model, Part } from '../../../src/runtime/model/model.js';
import { graphOf, placeOf } from '../../../src/runtime/model/sites.js';
import type { QuantizationArgs } from '../../../src/schemes/args.js';
import { weightGrid } from '../../../src/schemes/grids.js';
import { crashAt } from '../../support/crash.js';
import { largestError } from '../../support/evaluation.js';
import { modified } from '../../support/modified.js';
import { valuesIn, valuesInExpert } from '../../support/run-decoder.js';
import { tinyLlama, tinyMixtral, writeModel, type TinyModel } from '../../support/tiny-model.js';

/** Two batches: rows of equal length run together. */
const ROWS = [
  [1, 5, 9, 2, 7, 30],
  [3, 3, 8, 1, 0, 12],
  [4, 6, 31],
];

const SMALL = { hidden: 16, intermediate: 24, vocabulary: 32, sigma: 0.3 };

type Weights = ReadonlyMap<string, Float32Array>;

/** The model with other weights, by module. */
function withWeights(model: Model, weights: Weights): Model {
  const bytes = new Map(
    model.modules.flatMap(({ name, weight }) => {
      const values = weights.get(name);
      return weight === undefined || values === undefined
        ? []
        : [[weight.tensor, narrow(values, weight.dtype)] as const];
    }),
  );
  const { source } = model;
  return {
    ...model,
    source: { ...source, read: (tensor, ...how) => Promise.resolve(bytes.get(tensor) ?? source.read(tensor, ...how)) },
  };
}

/** A value of a model in float64: all rows, one after the other; [T, C]. */
async function valueOf(model: Model, site: string): Promise<{ x: Float64Array; columns: number }> {
  const [decoder, engine] = [decoderOf(model), createReferenceEngine()];
  const part = model.parts.find(({ id }) => id !== 'embedding' && inPart(model, id, site))!.id;
  const graph = graphOf(decoder, part)!;
  const { value, expert } = placeOf(graph, site);
  const x: number[] = [];
  let columns = 0;
  for (const ids of ROWS) {
    const read = expert?.mixture.in.x ?? value;
    let tensor = (await valuesIn({ model, decoder, engine, precision: 'float64' }, ids, graph, [read]))[read]!;
    if (expert !== undefined)
      tensor = (await valuesInExpert({ model, engine }, { prefix: graph.prefix, ...expert }, tensor, [value]))[value]!;
    columns = tensor.shape[1]!;
    x.push(...(await tensor.read()));
  }
  return { x: Float64Array.from(x), columns };
}

function inPart(model: Model, part: string, site: string): boolean {
  try {
    return placeOf(graphOf(decoderOf(model), part)!, site) !== undefined;
  } catch {
    return false;
  }
}

/** sum x xᵀ, its upper triangle. */
function gramOf({ x, columns: n }: { x: Float64Array; columns: number }): Float64Array {
  const sum = new Float64Array(n * n);
  for (let t = 0; t < x.length; t += n)
    for (let i = 0; i < n; i++) for (let j = i; j < n; j++) sum[i * n + j]! += x[t + i]! * x[t + j]!;
  return sum;
}

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string, tolerance = 1e-12): void {
  const scale = Array.from(expected).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const error = largestError(actual, expected);
  assert.ok(scale > 0 && error <= tolerance * scale, `${what}: ${error}, of ${scale}`);
}

const assertGram = async (gram: unknown, model: Model, site: string) =>
  assertNear((gram as Gram).values, gramOf(await valueOf(model, site)), `H of ${site}`);

/** What a modifier took, by site and observer, and what it emitted. */
interface Log {
  readonly taken: Map<string, unknown>;
  readonly edits: Map<string, Edit>;
}

const newLog = (): Log => ({ taken: new Map(), edits: new Map() });

/** A modifier that only looks. */
function looker(
  observe: (part: Part) => readonly Observation[],
  { taken }: Log,
  more: Partial<Modifier> = {},
): Modifier {
  return {
    type: 'Looker',
    schema: 'none',
    plan: (_options, part) => ({ observe: observe(part) }),
    async edit(part, { statistics }) {
      for (const one of observe(part)) taken.set(`${one.site} ${one.observer}`, await statistics.take(one));
    },
    ...more,
  };
}

/** A modifier under whose eyes somebody looks. */
function watchedModifier<Options>(modifier: Modifier<Options>, { taken, edits }: Log): Modifier<Options> {
  return {
    ...modifier,
    edit: (part, context) =>
      modifier.edit(part, {
        ...context,
        statistics: {
          ...context.statistics,
          async take<Result>(one: Observation) {
            const result = await context.statistics.take<Result>(one);
            taken.set(`${one.site} ${one.observer}`, result);
            return result;
          },
        },
        emit(edit) {
          if (edit.kind !== 'parameter') edits.set(edit.module, edit);
          return context.emit(edit);
        },
      }),
  };
}

const INT3: QuantizationArgs['num_bits'] = 3;
const GPTQ = {
  config_groups: { g: { targets: ['Linear'], weights: { num_bits: INT3, strategy: 'channel', actorder: null } } },
  ignore: ['lm_head', 're:.*block_sparse_moe.gate'],
};

/** The weights that codes stand for. */
function dequantized(model: Model, edits: Log['edits'], args: QuantizationArgs): Weights {
  return new Map(
    [...edits].map(([name, edit]) => {
      const { rows, columns, dtype } = model.modules.find(module => module.name === name)!.weight!;
      if (edit.kind === 'dense') return [name, roundArray(edit.weight, dtype)];
      const { codes, ...parameters } = edit as CodesEdit & { codes: Exclude<CodesEdit['codes'], 'nearest'> };
      const w = dequantize(codes, 0, weightGrid(args, rows, columns), parameters, args);
      return [name, widen(narrow(w, dtype), dtype)];
    }),
  );
}

const only = (weights: Weights, prefix: string): Weights =>
  new Map([...weights].filter(([name]) => name.startsWith(prefix)));

const argsIn = (model: Model): QuantizationArgs => {
  const { schemes } = gptq.schemes!(GPTQ as never, model);
  return [...schemes.values()][0]!.weights!;
};

describe('what a modifier is shown', () => {
  const opened: Model[] = [];
  const load = async (tiny: TinyModel) => {
    const model = await loadModel(await writeModel(tiny));
    opened.push(model);
    return model;
  };
  let llama: Model;
  const engine: Engine = createReferenceEngine();
  const linears = (part: Part) => part.modules.filter(({ classes, weight }) => classes[0] === 'Linear' && weight);

  before(async () => (llama = await load(tinyLlama({ ...SMALL, dtype: 'BF16' }))));
  after(async () => {
    for (const model of opened) await model.source.close();
  });

  it('is the value itself: its range, energy and Hessian over all tokens', async () => {
    const log = newLog();
    const args = { ...argsIn(llama), strategy: 'tensor' } as const;
    const perHead = { ...args, strategy: 'attn_head' } as const;
    const look = looker(
      part => [
        ...linears(part).flatMap(({ name }) => [
          { site: `${name}.input`, observer: 'static_minmax', args },
          { site: `${name}.output`, observer: 'static_minmax', args },
          { site: `${name}.input`, observer: 'energy' },
          { site: `${name}.input`, observer: 'hessian' },
        ]),
        ...(part.id.startsWith('layers.')
          ? ['q', 'k', 'v'].map(v => ({
              site: `model.${part.id}.self_attn.${v}`,
              observer: 'static_minmax',
              args: perHead,
            }))
          : []),
      ],
      log,
    );
    await modified({ model: llama, engine, rows: ROWS, modifiers: [[look]], calibration: { batch_size: 2 } });
    assert.equal(log.taken.size, 15 * 4 + 2 * 3);
    for (const [key, result] of log.taken) {
      const [site, observer] = key.split(' ') as [string, string];
      const value = await valueOf(llama, site);
      const { x, columns } = value;
      if (observer === 'hessian') {
        assertNear((result as Gram).values, gramOf(value), key);
        const { tokens, sequences } = result as Gram;
        assert.deepEqual([tokens, sequences], [15, 3]);
      } else if (observer === 'energy') {
        const sums = Float64Array.from({ length: columns }, (_, c) =>
          x.reduce((sum, v, i) => (i % columns === c ? sum + v * v : sum), 0),
        );
        assertNear(
          result as Float64Array,
          sums.map(v => v / 15),
          key,
        );
      } else {
        const size = /\.[qkv]$/.test(site) ? 4 : columns;
        const blocks = Array.from({ length: columns / size }, (_, b) =>
          x.filter((_v, i) => Math.floor((i % columns) / size) === b),
        );
        const { min, max } = result as Range;
        assertNear(
          min,
          blocks.map(block => Math.fround(Math.min(...block))),
          `minimum of ${key}`,
        );
        assertNear(
          max,
          blocks.map(block => Math.fround(Math.max(...block))),
          `maximum of ${key}`,
        );
      }
    }
  });

  it('was computed once where several ask for it', async () => {
    const log = newLog();
    let grams = 0;
    const counting: Engine = {
      ...engine,
      compile(slice) {
        grams += slice.ops.filter(({ op }) => op === 'gram').length;
        return engine.compile(slice);
      },
    };
    const observe = (part: Part) =>
      part.id === 'layers.0'
        ? ['q', 'k', 'v'].map(v => ({ site: `model.layers.0.self_attn.${v}_proj.input`, observer: 'hessian' }))
        : [];
    // of two modifiers as well
    const second = newLog();
    const modifiers = [[looker(observe, log)], [looker(observe, second)]] as const;
    await modified({ model: llama, engine: counting, rows: ROWS, modifiers });
    const seen = [...log.taken.values(), ...second.taken.values()];
    assert.equal(seen.length, 6);
    assert.equal(new Set(seen).size, 1);
    assert.equal(grams, 1);
  });

  it('can be taken once by each that announced it, and by no other', async () => {
    const one = { site: 'model.layers.0.self_attn.q_proj.input', observer: 'energy' };
    for (const [announced, times] of [
      [one, 2],
      [{ ...one, observer: 'hessian' }, 1],
    ] as const) {
      const greedy = looker(part => (part.id === 'layers.0' ? [announced] : []), newLog(), {
        async edit(_part, { statistics }) {
          for (let i = 0; i < times; i++) await statistics.take(one);
        },
      });
      await assert.rejects(modified({ model: llama, engine, rows: ROWS, modifiers: [[greedy]] }), {
        code: 'PLUGIN',
        message: `energy of ${one.site} was not announced`,
      });
    }
  });

  describe('of a mixture of experts', () => {
    let mixtral: Model;
    before(async () => (mixtral = await load(tinyMixtral())));

    const expertsOf = (part: string) => [0, 1, 2, 3].map(e => `model.${part}.block_sparse_moe.experts.${e}`);
    const observe = ({ id }: Part): Observation[] =>
      id.startsWith('layers.')
        ? expertsOf(id).flatMap(e => ['w1', 'w2'].map(w => ({ site: `${e}.${w}.input`, observer: 'hessian' })))
        : [];

    for (const residentBytes of [Infinity, 0]) {
      it(`are all tokens, through one expert at a time (${residentBytes === 0 ? 'spilled' : 'in memory'})`, async () => {
        const log = newLog();
        const reads: string[] = [];
        const observing: Model = {
          ...mixtral,
          source: {
            ...mixtral.source,
            read(tensor, ...how) {
              reads.push(tensor);
              return mixtral.source.read(tensor, ...how);
            },
          },
        };
        const during = new Map<string, string[]>();
        const look = looker(observe, log, {
          async edit(part, { statistics }) {
            for (const one of observe(part)) {
              reads.length = 0;
              log.taken.set(one.site, await statistics.take(one));
              during.set(one.site, [...reads]);
            }
          },
        });
        await modified({ model: observing, engine, rows: ROWS, modifiers: [[look]], residentBytes });
        // the first layer's pass goes on to the next at the same time
        for (const experts of ['layers.0', 'layers.1'].map(expertsOf)) {
          for (const e of experts) {
            for (const w of ['w1', 'w2']) {
              const gram = log.taken.get(`${e}.${w}.input`) as Gram;
              await assertGram(gram, mixtral, `${e}.${w}.input`);
              assert.equal(gram.tokens, 15);
            }
            assert.deepEqual(during.get(`${e}.w1.input`), []);
            assert.deepEqual(during.get(`${e}.w2.input`)!.sort(), [`${e}.w1.weight`, `${e}.w3.weight`]);
          }
          const shared = experts.map(e => log.taken.get(`${e}.w1.input`));
          assert.equal(new Set(shared).size, 1, 'what all experts read is one Hessian');
        }
      });
    }

    it('leaves no file open when the modifier fails', async () => {
      const why = new Error('it fails');
      const failing = looker(observe, newLog(), { edit: () => Promise.reject(why) });
      const run = { model: mixtral, engine, rows: ROWS, modifiers: [[failing]] as const, residentBytes: 0 };
      const { error, leftOpen } = await crashAt(Infinity, () => modified(run));
      assert.equal(error, why);
      assert.deepEqual(leftOpen, []);
    });
  });

  describe('by modifiers that flow', () => {
    const sites = ['self_attn.q_proj', 'self_attn.o_proj', 'mlp.up_proj', 'mlp.down_proj'];

    for (const propagate of ['compressed', 'original'] as const) {
      it(`is in later layers what ${propagate} earlier ones give`, async () => {
        const log = newLog();
        const modifiers = [[watchedModifier(gptq, log) as Modifier, GPTQ]] as const;
        await modified({ model: llama, engine, rows: ROWS, modifiers, calibration: { propagate, batch_size: 2 } });
        const weights = dequantized(llama, log.edits, argsIn(llama));
        assert.equal(weights.size, 14);
        const first = withWeights(llama, only(weights, 'model.layers.0.'));
        for (const site of sites) {
          await assertGram(
            log.taken.get(`model.layers.0.${site}.input hessian`),
            llama,
            `model.layers.0.${site}.input`,
          );
          const seen = propagate === 'compressed' ? first : llama;
          await assertGram(log.taken.get(`model.layers.1.${site}.input hessian`), seen, `model.layers.1.${site}.input`);
        }
      });
    }

    /** Halves the values of attention: what reads them sees it. */
    const halve = (log: Log, flows: boolean): Modifier => ({
      type: 'Halve',
      schema: 'none',
      flows,
      plan: (_options, part) => ({
        dense: part.modules.flatMap(({ name }) => (name.endsWith('v_proj') ? [name] : [])),
        observe: part.modules.flatMap(({ name }) =>
          name.endsWith('v_proj') ? [{ site: `${name.replace('v_proj', 'o_proj')}.input`, observer: 'hessian' }] : [],
        ),
      }),
      async edit(part, { statistics, compute, emit }) {
        for (const module of part.modules.filter(({ name }) => name.endsWith('v_proj'))) {
          const site = `${module.name.replace('v_proj', 'o_proj')}.input`;
          log.taken.set(`${site} hessian`, await statistics.take({ site, observer: 'hessian' }));
          const weight = (await compute.weight(module)).map(v => v / 2);
          const edit = { kind: 'dense', module: module.name, weight } as const;
          log.edits.set(module.name, edit);
          await emit(edit);
        }
      },
    });

    it('is the part as the modifiers before have left it, and earlier parts as all of them and itself have', async () => {
      const [dense, codes] = [newLog(), newLog()];
      const modifiers = [[halve(dense, true)], [watchedModifier(gptq, codes) as Modifier, GPTQ]] as const;
      await modified({ model: llama, engine, rows: ROWS, modifiers });
      const args = argsIn(llama);
      const halved = dequantized(llama, dense.edits, args);
      const both = new Map([...halved, ...dequantized(llama, codes.edits, args)]);
      const [o0, o1] = [0, 1].map(i => `model.layers.${i}.self_attn.o_proj.input`) as [string, string];

      await assertGram(dense.taken.get(`${o0} hessian`), llama, o0);
      await assertGram(codes.taken.get(`${o0} hessian`), withWeights(llama, halved), o0);
      // the first modifier's stream has its own edits, the second's those of both
      const first = only(halved, 'model.layers.0.');
      await assertGram(dense.taken.get(`${o1} hessian`), withWeights(llama, first), o1);
      const before = new Map([...halved, ...only(both, 'model.layers.0.')]);
      await assertGram(codes.taken.get(`${o1} hessian`), withWeights(llama, before), o1);
      // and the codes of what was halved are those of the halved weight
      const scale = (edits: Log['edits']) => (edits.get('model.layers.0.self_attn.v_proj') as CodesEdit).scale;
      const alone = newLog();
      await modified({
        model: llama,
        engine,
        rows: ROWS,
        modifiers: [[watchedModifier(gptq, alone) as Modifier, GPTQ]],
      });
      assert.deepEqual(
        scale(codes.edits),
        scale(alone.edits).map(s => s / 2),
      );
    });
  });

  for (const [name, tiny] of [
    ['a bfloat16 model', tinyLlama({ ...SMALL, dtype: 'BF16' })],
    ['a float32 model', tinyLlama({ ...SMALL, dtype: 'F32' })],
    ['a mixture of experts', tinyMixtral()],
  ] as const) {
    it(`does not depend on where it lies meanwhile: ${name}`, async () => {
      const model = await load(tiny);
      const onnx = await createOnnxEngine({ device: 'cpu', threads: 1 });
      try {
        for (const runner of [engine, onnx]) {
          const found = [];
          for (const residentBytes of [Infinity, 0]) {
            const log = newLog();
            const modifiers = [[watchedModifier(gptq, log) as Modifier, GPTQ]] as const;
            const { parts, states } = await modified({ model, engine: runner, rows: ROWS, modifiers, residentBytes });
            assert.deepEqual(Object.keys(states), ['0 embedding', '0 layers.0']);
            found.push({ parts, states, taken: log.taken, edits: log.edits });
          }
          assert.deepEqual(found[1], found[0]);
        }
      } finally {
        await onnx.close();
      }
    });
  }
});
