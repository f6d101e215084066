import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';
import { gptq, type GptqOptions } from '../../src/modifiers/gptq.js';
import type { CodesEdit, Edit, ModuleScheme, Observation, Remark } from '../../src/modifiers/modifier.js';
import { builtInModifier } from '../../src/modifiers/table.js';
import { roundArray, type ModelDType } from '../../src/numerics/dtypes.js';
import type { Hessian } from '../../src/numerics/gptq.js';
import { globalScale, qparams } from '../../src/numerics/qparams.js';
import { dequantize, quantize } from '../../src/numerics/quantize.js';
import { random } from '../../src/numerics/random.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model, Module, Part } from '../../src/runtime/model/model.js';
import { normalizeArgs, type FormatName, type QuantizationArgs } from '../../src/schemes/args.js';
import { weightGrid } from '../../src/schemes/grids.js';
import { goldenJson } from '../support/golden.js';
import { assertNumbers, flat, normal, type Nested } from '../support/numbers.js';
import { plainCompute } from '../support/plain-compute.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

interface Layer {
  readonly name: string;
  readonly weight: Float32Array;
  readonly rows: number;
  readonly args: QuantizationArgs | null;
  readonly dtype?: ModelDType;
  readonly hessian?: Hessian;
  readonly energy?: Float64Array;
  readonly kind?: string;
  readonly family?: string;
  readonly format?: FormatName;
}

function argsOf(given: Readonly<Record<string, unknown>>): QuantizationArgs {
  const { args, problems } = normalizeArgs(given);
  assert.deepEqual(problems, undefined);
  return args!;
}

function partOf(layers: readonly Layer[]): { part: Part; schemes: Map<string, ModuleScheme> } {
  const modules = layers.map(({ name, weight, rows, dtype = 'F32', kind = 'Linear', family }): Module => {
    const shape = { tensor: `${name}.weight`, rows, columns: weight.length / rows, dtype };
    return { name, classes: [kind, 'Module'], weight: shape, ...(family !== undefined && { family }) };
  });
  const schemes = layers.flatMap(({ name, args, format = 'pack-quantized' }) => {
    const none = { input_activations: null, output_activations: null };
    return args === null
      ? []
      : [[name, { weights: args, ...none, format, targets: ['Linear'], target: 'Linear' }] as const];
  });
  return { part: { id: 'layers.0', modules, tensors: [] }, schemes: new Map(schemes) };
}

/** Runs the modifier over layers, whose inputs were seen in so many tokens and sequences. */
async function run(
  layers: readonly Layer[],
  options: GptqOptions = {},
  { tokens = 1e6, sequences = 2, signal = new AbortController().signal } = {},
) {
  const { part, schemes } = partOf(layers);
  const { observe = [] } = gptq.plan(options, part, schemes);
  const left = observe.map(({ site, observer }) => `${observer} of ${site}`);
  const edits: CodesEdit[] = [];
  const remarks: Remark[] = [];
  const losses = new Map<string, number>();
  const factored: number[] = [];
  const compute = plainCompute(new Map(layers.map(({ name, weight }) => [name, weight])));
  const grams = new Map(
    layers.flatMap(({ hessian }) =>
      hessian ? [[hessian, { ...hessian, values: hessian.values.slice(), tokens, sequences }]] : [],
    ),
  );
  await gptq.edit(part, {
    options,
    schemes,
    statistics: {
      seen: { tokens, sequences },
      take<Result>({ site, observer }: Observation): Promise<Result> {
        const asked = left.indexOf(`${observer} of ${site}`);
        assert.ok(asked >= 0, `${observer} of ${site} was not announced, or is taken twice`);
        left.splice(asked, 1);
        const { hessian, energy } = layers.find(({ name }) => site === `${name}.input`)!;
        if (observer === 'energy') return Promise.resolve(energy as Result);
        return Promise.resolve(grams.get(hessian!) as Result);
      },
    },
    compute: {
      ...compute,
      gptqFactor(hessian, factorOptions) {
        factored.push(factorOptions.damping);
        return compute.gptqFactor(hessian, factorOptions);
      },
    },
    random: random(1),
    emit(edit: Edit) {
      assert.equal(edit.kind, 'codes');
      edits.push(edit as CodesEdit);
      return Promise.resolve();
    },
    report: remark => void remarks.push(remark),
    measure: (module, { loss }) => void losses.set(module, loss!),
    signal,
  });
  assert.deepEqual(left, [], 'all that was announced is taken');
  return { edits, remarks, losses, factored };
}

/** sum x xᵀ over tokens of strongly correlated numbers; columns in `dead` are never used. */
function hessianOf(n: number, tokens: number, seed: number, dead: readonly number[] = []): Hessian {
  const [noise, common] = [normal(tokens * n, seed), normal(tokens, seed + 1)];
  const values = new Float64Array(n * n);
  for (let t = 0; t < tokens; t++) {
    const x = noise
      .subarray(t * n, (t + 1) * n)
      .map((v, j) => (dead.includes(j) ? 0 : v * (1 + (j % 5)) + 2 * common[t]!));
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) values[i * n + j] = values[i * n + j]! + x[i]! * x[j]!;
  }
  return { n, values };
}

/** Codes of whole rows as numbers. */
function dequantized(edit: CodesEdit, { rows, weight, args }: Layer): Float32Array {
  const grid = weightGrid(args!, rows, weight.length / rows);
  return dequantize(edit.codes as Int8Array, 0, grid, edit, args!, edit.groupIndex ?? null);
}

/** tr(ΔW H ΔWᵀ) / 2, where H is what two sequences add up to. */
function proxyLoss(w: Float32Array, q: Float32Array, { n, values }: Hessian): number {
  let sum = 0;
  for (let at = 0; at < w.length; at += n) {
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) sum += (w[at + i]! - q[at + i]!) * values[i * n + j]! * (w[at + j]! - q[at + j]!);
  }
  return sum / 2;
}

function layerOf(name: string, given: Partial<Layer> = {}): Layer {
  const args = argsOf({ num_bits: 4, group_size: 16, actorder: 'static' });
  return { name, weight: normal(24 * 64, 5, 0.05), rows: 24, args, hessian: hessianOf(64, 400, 3), ...given };
}

describe('GPTQModifier', () => {
  it('is built in, and what it does reaches later parts', () => {
    assert.equal(builtInModifier('GPTQModifier'), gptq);
    assert.equal(gptq.flows, true);
  });

  it('leaves less of the proxy loss than round to nearest, and measures it', async () => {
    for (const actorder of ['static', 'group', null]) {
      const args = argsOf({ num_bits: 4, group_size: 16, actorder });
      const layer = layerOf('q', { args });
      const { edits, losses } = await run([layer], { dampening_frac: 0 });
      const nearest = qparams(
        await plainCompute(new Map([['q', layer.weight]])).weightRange(partOf([layer]).part.modules[0]!, args),
        args,
        'F32',
      );
      const grid = weightGrid(args, layer.rows, 64);
      const plain = dequantize(quantize(layer.weight, 0, grid, nearest, args, 'F32'), 0, grid, nearest, args);
      const [ours, theirs] = [dequantized(edits[0]!, layer), plain].map(q =>
        proxyLoss(layer.weight, q, layer.hessian!),
      );
      assert.ok(ours! < 0.7 * theirs!, `${ours} is not well below ${theirs}`);
      // without damping the loss that GPTQ sums up is the proxy loss itself
      assert.ok(Math.abs(losses.get('q')! / ours! - 1) < 1e-4, `${losses.get('q')} is not ${ours}`);
    }
  });

  it('takes H per sequence, which changes the loss alone', async () => {
    const [two, eight] = [await run([layerOf('q')]), await run([layerOf('q')], {}, { sequences: 8 })];
    assert.deepEqual(eight.edits, two.edits);
    assert.ok(Math.abs((4 * eight.losses.get('q')!) / two.losses.get('q')! - 1) < 1e-6);
  });

  it('takes dequantized values as they are under exact arithmetic, else rounded to T', async () => {
    const args = argsOf({ num_bits: 8, type: 'float', strategy: 'channel' });
    const weight = roundArray(normal(24 * 64, 5, 0.05), 'BF16');
    const [reference, exact] = await Promise.all(
      [{}, { arithmetic: 'exact' } as const].map(options =>
        run([layerOf('q', { args, weight, dtype: 'BF16' })], options),
      ),
    );
    assert.deepEqual(exact!.edits[0]!.scale, reference!.edits[0]!.scale);
    assert.notDeepEqual(exact!.edits[0]!.codes, reference!.edits[0]!.codes);
    assert.deepEqual(
      [reference!, exact!].map(({ edits }) => edits[0]!.arithmetic),
      ['reference', 'exact'],
    );
  });

  it('weighs the error of a range by the energy of the input', async () => {
    const args = argsOf({ num_bits: 4, group_size: 16, observer: 'imatrix_mse' });
    for (const actorder of ['static', 'group'] as const) {
      const [even, uneven] = await Promise.all(
        [() => 1, (c: number) => (c % 16 === 0 ? 1e4 : 1)].map(energy =>
          run([
            layerOf('q', {
              args: { ...args, actorder },
              energy: Float64Array.from({ length: 64 }, (_, c) => energy(c)),
            }),
          ]),
        ),
      );
      assert.notDeepEqual(uneven!.edits[0]!.scale, even!.edits[0]!.scale);
    }
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    stop.abort(new TensorpressError('INTERRUPTED', 'stopped'));
    await assert.rejects(run([layerOf('q')], {}, { signal: stop.signal }), /stopped/);
  });

  it('factors the Hessian of an input once for the modules that read it', async () => {
    const shared = hessianOf(64, 300, 9);
    const { factored, edits } = await run([
      layerOf('q', { hessian: shared }),
      layerOf('k', { hessian: shared }),
      layerOf('v', { hessian: shared, args: argsOf({ num_bits: 4, group_size: 16 }) }),
      layerOf('o'),
    ]);
    assert.equal(factored.length, 3); // by importance, in their order, and that of o
    assert.deepEqual(
      edits.map(({ module }) => module),
      ['q', 'k', 'v', 'o'],
    );
  });

  it('shares one global scale over a fused family', async () => {
    const args = argsOf({
      ...{ num_bits: 4, type: 'float', strategy: 'tensor_group', group_size: 16 },
      ...{ scale_dtype: 'torch.float8_e4m3fn', dynamic: false },
    });
    const [gate, up] = [normal(8 * 64, 1, 0.02), normal(8 * 64, 2, 0.05)];
    const { edits } = await run([
      layerOf('gate', { weight: gate, rows: 8, args, family: 'mlp' }),
      layerOf('up', { weight: up, rows: 8, args, family: 'mlp' }),
    ]);
    const G = globalScale(
      up.reduce((a, v) => Math.max(a, Math.abs(v)), 0),
      'F32',
    );
    assert.deepEqual(
      edits.map(edit => edit.globalScale),
      [G, G],
    );
  });

  it('adds more to the diagonal where the Hessian is not positive definite, says so, and rounds to nearest at last', async () => {
    const n = 64;
    const weak = hessianOf(n, 300, 7);
    const trace = Array.from({ length: n }, (_, j) => weak.values[j * n + j]!).reduce((a, b) => a + b);
    // a direction whose eigenvalue is -0.05 of the mean of the diagonal
    for (let j = 0; j < n; j++)
      for (let i = 0; i < n; i++) if (i < 2 || j < 2) weak.values[i * n + j] = i === j ? 1e-9 : 0;
    weak.values[1] = weak.values[n] = (0.05 * trace) / n;
    const hopeless = { n, values: weak.values.map((v, at) => (at === 1 || at === n ? 1000 * v : v)) };
    const { edits, remarks, factored } = await run([
      layerOf('weak', { hessian: weak }),
      layerOf('hopeless', { hessian: hopeless }),
    ]);
    assert.deepEqual(
      factored.map(damping => Number(damping.toFixed(6))),
      [0.01, 0.1, 0.01, 0.1, 1],
    );
    assert.deepEqual(
      remarks.map(({ module }) => module),
      ['weak', 'hopeless'],
    );
    assert.match(remarks[0]!.message, /not positive definite with dampening_frac 0.01, so 0.1 was used$/);
    assert.match(
      remarks[1]!.message,
      /not positive definite, even with dampening_frac 1, so it was rounded to nearest$/,
    );
    assert.notEqual(edits[0]!.codes, 'nearest');
    assert.equal(edits[1]!.codes, 'nearest');
  });

  it('rounds to nearest what no token has reached, and embeddings', async () => {
    const { edits, remarks } = await run([
      layerOf('experts.3', { hessian: { n: 64, values: new Float64Array(64 * 64) } }),
      layerOf('embed_tokens', { kind: 'Embedding' }),
    ]);
    assert.deepEqual(
      edits.map(({ codes, groupIndex }) => [codes, groupIndex ?? null]),
      [
        ['nearest', null],
        ['nearest', null],
      ],
    );
    assert.deepEqual(
      remarks.map(({ module }) => module),
      ['experts.3'],
    );
    assert.match(remarks[0]!.message, /^its input is always 0, so it was rounded to nearest$/);
  });

  it('gives 0 to columns that are never used, and says how many', async () => {
    const layer = layerOf('q', { hessian: hessianOf(64, 300, 4, [3, 40]) });
    const { edits, remarks } = await run([layer]);
    const q = dequantized(edits[0]!, layer);
    for (let row = 0; row < 24; row++) assert.deepEqual([q[row * 64 + 3], q[row * 64 + 40]], [0, 0]);
    assert.ok(q.some(v => v !== 0));
    assert.match(remarks[0]!.message, /^2 of its 64 input columns are always 0, and so are their weights now$/);
  });

  it('warns of few tokens once for an input', async () => {
    const shared = hessianOf(64, 100, 9);
    const layers = [layerOf('q', { hessian: shared }), layerOf('k', { hessian: shared }), layerOf('o')];
    const { remarks } = await run(layers, {}, { tokens: 127 });
    assert.deepEqual(
      remarks.map(({ module }) => module),
      ['q', 'o'],
    );
    assert.match(remarks[0]!.message, /^127 calibration tokens are few for an input of 64 columns/);
    assert.deepEqual((await run(layers, {}, { tokens: 128 })).remarks, []);
  });

  it('follows groups in the order of importance, with scales as T stores them', async () => {
    const args = argsOf({ num_bits: 4, group_size: 16, actorder: 'group', symmetric: false });
    const weight = roundArray(normal(24 * 64, 5, 0.05), 'BF16');
    const layer = layerOf('q', { args, weight, dtype: 'BF16' });
    const { edits } = await run([layer]);
    const { groupIndex, scale } = edits[0]!;
    const importance = (j: number) => layer.hessian!.values[j * 64 + j]!;
    const of = (group: number) => [...groupIndex!.keys()].filter(j => groupIndex![j] === group).map(importance);
    for (const group of [0, 1, 2]) {
      assert.equal(of(group).length, 16);
      assert.ok(Math.min(...of(group)) >= Math.max(...of(group + 1)));
    }
    assert.deepEqual(scale, roundArray(scale.slice(), 'BF16'));
    const error = proxyLoss(weight, dequantized(edits[0]!, layer), layer.hessian!);
    assert.ok(error < proxyLoss(weight, new Float32Array(weight.length), layer.hessian!) / 50);
  });

  it('refuses groups that follow the order where the format cannot say so', () => {
    const { part, schemes } = partOf([
      layerOf('q', {
        args: argsOf({ num_bits: 4, group_size: 16, actorder: 'group' }),
        format: 'mxfp4-pack-quantized',
      }),
    ]);
    assert.match(
      gptq.plan({}, part, schemes).refuse!,
      /^q: mxfp4-pack-quantized has no place for the g_idx of actorder group/,
    );
  });
});

describe('GPTQModifier, schemes', () => {
  let model: Model;
  before(async () => {
    model = await loadModel(await writeModel(tinyLlama()));
  });

  /** The actorder of q_proj's weight. */
  const orderOf = (options: GptqOptions): unknown => {
    const { schemes, problems } = gptq.schemes!({ targets: ['re:.*q_proj$'], ...options }, model);
    assert.deepEqual(problems, []);
    return [...schemes.values()][0]!.weights!.actorder;
  };
  const groups = (weights: Record<string, unknown>): GptqOptions => ({
    config_groups: { g: { targets: ['re:.*q_proj$'], weights } },
  });

  it('are ordered: by the scheme, by the modifier, else by importance', () => {
    assert.equal(orderOf({ scheme: 'W4A16' }), 'static');
    assert.equal(orderOf({ scheme: 'W4A16', actorder: 'group' }), 'group');
    assert.equal(orderOf({ scheme: 'W4A16', actorder: null }), null);
    assert.equal(orderOf({ scheme: 'W8A8' }), 'static'); // channel
    assert.equal(orderOf({ scheme: 'W8A8', actorder: 'group' }), null);
    assert.equal(orderOf({ scheme: 'W8A8', actorder: 'weight' }), 'weight');
    const grouped = { num_bits: 4, group_size: 32 };
    assert.equal(orderOf(groups({ ...grouped, actorder: 'group' })), 'group');
    assert.equal(orderOf({ ...groups({ ...grouped, actorder: 'weight' }), actorder: 'static' }), 'static');
    assert.equal(orderOf({ ...groups({ ...grouped, actorder: 'group' }), actorder: null }), 'group');
  });

  it('ask for the Hessian of Linears, for energy where an observer weighs with it, and for activations', () => {
    const args = argsOf({ num_bits: 4, group_size: 16, observer: 'imatrix_mse' });
    const { part, schemes } = partOf([
      layerOf('q', { args }),
      layerOf('norm', { args: null }),
      layerOf('embed', { args, kind: 'Embedding' }),
    ]);
    const input = argsOf({ num_bits: 8, type: 'float', observer: 'static_minmax' });
    schemes.set('q', { ...schemes.get('q')!, input_activations: input });
    const { codes, observe, parameters } = gptq.plan({}, part, schemes);
    assert.deepEqual(codes, ['q', 'embed']);
    assert.deepEqual(observe, [
      { site: 'q.input', observer: 'static_minmax', args: input },
      { site: 'q.input', observer: 'hessian' },
      { site: 'q.input', observer: 'energy' },
    ]);
    assert.deepEqual(parameters, [{ name: 'q.input_scale', dtype: 'F32', shape: [1] }]);
  });
});

interface GoldenInputs {
  weight: Nested;
  hessian: Nested;
}

interface Variant {
  strategy: string;
  actorder: string | null;
  symmetric: boolean;
  blocksize: number;
  percdamp: number;
  loss: number;
  scale: Nested;
  zero_point: Nested;
  weight_q: Nested;
  g_idx?: number[];
}

interface ExtraCase extends GoldenInputs {
  name: string;
  args: Record<string, unknown>;
  dtype: 'float32' | 'bfloat16';
  block_size: number;
  dampening_frac: number;
  loss: number;
  scale: Nested;
  zero_point: Nested;
  dequantized: Nested;
  global_scale?: number[];
}

interface Expected {
  loss: number;
  scale: Nested;
  zero_point: Nested;
  values: Nested;
  g_idx?: number[] | undefined;
  global_scale?: number[] | undefined;
  /** Whether only the loss is compared, to 1 %. */
  lossOnly?: boolean;
}

async function compare(
  what: string,
  { weight, hessian }: GoldenInputs,
  args: QuantizationArgs,
  options: GptqOptions,
  expected: Expected,
  dtype: ModelDType = 'F32',
): Promise<void> {
  const rows = (weight as readonly Nested[]).length;
  const n = (hessian as readonly Nested[]).length;
  const layer: Layer = {
    ...{ name: 'layer', rows, args, dtype, weight: Float32Array.from(flat(weight)) },
    hessian: { n, values: Float64Array.from(flat(hessian)) },
  };
  const { edits, losses } = await run([layer], options);
  const loss = losses.get('layer')! / expected.loss - 1;
  assert.ok(Math.abs(loss) < (expected.lossOnly ? 1e-2 : 1e-3), `${what}: loss differs by ${loss}`);
  const [edit] = edits;
  assertNumbers(edit!.scale, flat(expected.scale), `${what}: scale`);
  assertNumbers(edit!.zeroPoint ?? new Int8Array(edit!.scale.length), flat(expected.zero_point), `${what}: zero point`);
  assert.equal(edit!.globalScale, expected.global_scale?.[0] ?? null, `${what}: global scale`);
  assert.deepEqual(edit!.groupIndex && [...edit!.groupIndex], expected.g_idx ?? null, `${what}: g_idx`);
  if (expected.lossOnly) return;
  const T = edit!.globalScale === null ? dtype : 'F32';
  assertNumbers(roundArray(dequantized(edit!, layer), T), flat(expected.values), `${what}: weight`);
}

describe('golden gptq', () => {
  const golden = goldenJson<{ gptq: Variant[]; gptq_inputs: GoldenInputs }>('compressed-tensors/golden.json');
  const extra = goldenJson<{ gptq: ExtraCase[] }>('compressed-tensors/golden-extra.json');

  it('is there', function () {
    if (golden?.gptq === undefined || extra?.gptq === undefined) this.skip();
  });

  for (const [i, variant] of (golden?.gptq ?? []).entries()) {
    const { strategy, actorder, symmetric, blocksize, percdamp, weight_q: values, ...rest } = variant;
    const what = `${i}: ${strategy}, ${actorder ?? 'no'} order, ${symmetric ? '' : 'a'}symmetric`;
    it(what, async () => {
      const sizes: Record<string, object> = { group: { group_size: 16 }, block: { block_structure: [4, 16] } };
      const args = argsOf({ num_bits: 4, strategy, symmetric, actorder, ...sizes[strategy] });
      const options = { block_size: blocksize, dampening_frac: percdamp };
      await compare(what, golden!.gptq_inputs, args, options, { ...rest, values });
    });
  }

  for (const { name, args, dtype, block_size, dampening_frac, dequantized: values, ...rest } of extra?.gptq ?? []) {
    it(name, async () => {
      const lossOnly = name.includes('rank deficient'); // the smallest eigenvalues are rounding errors
      const T = dtype === 'bfloat16' ? 'BF16' : 'F32';
      await compare(name, rest, argsOf(args), { block_size, dampening_frac }, { ...rest, values, lossOnly }, T);
    });
  }
});
