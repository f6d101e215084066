import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';
import type {
  CodesEdit,
  Compute,
  ModuleScheme,
  Observation,
  ParameterEdit,
  Remark,
} from '../../src/modifiers/modifier.js';
import { quantization } from '../../src/modifiers/quantization.js';
import { builtInModifier } from '../../src/modifiers/table.js';
import type { ModelDType } from '../../src/numerics/dtypes.js';
import { globalScale } from '../../src/numerics/qparams.js';
import { random } from '../../src/numerics/random.js';
import type { Module, Part } from '../../src/runtime/model/model.js';
import { preset } from '../../src/schemes/presets.js';

function moduleOf(name: string, dtype: ModelDType, family?: string): Module {
  const weight = { tensor: `${name}.weight`, rows: 2, columns: 32, dtype };
  return { name, classes: ['Linear', 'Module'], weight, ...(family !== undefined && { family }) };
}

function schemeOf(name: string): ModuleScheme {
  const [scheme, observer] = name.split(' ');
  const { weights, input_activations, output_activations, targets } = preset(scheme!, ['Linear'])!;
  if (observer !== undefined) weights!.observer = observer;
  return { weights, input_activations, output_activations, format: 'pack-quantized', targets, target: 'Linear' };
}

/** Runs the modifier over modules whose weights reach up to the given magnitude. */
async function run(
  modules: readonly (Module & { absmax: number; scheme?: string })[],
  options: { arithmetic?: 'reference' | 'exact' } = {},
  signal = new AbortController().signal,
) {
  const part: Part = { id: 'layers.0', modules, tensors: [] };
  const schemes = new Map(
    modules.flatMap(m => (m.scheme === undefined ? [] : [[m.name, schemeOf(m.scheme)] as const])),
  );
  const log: string[] = [];
  const edits: CodesEdit[] = [];
  const parameters: ParameterEdit[] = [];
  const remarks: Remark[] = [];
  const unused = () => assert.fail('not for round to nearest');
  const compute: Compute = {
    weight: unused,
    weightObserver: unused,
    gptqFactor: unused,
    gptqColumns: unused,
    weightRange({ name }, _args, importance) {
      log.push(`observe ${name}${importance === undefined ? '' : ` by ${importance.join()}`}`);
      const { absmax } = modules.find(m => m.name === name)!;
      return Promise.resolve({ min: new Float32Array(4).fill(-absmax), max: new Float32Array(4).fill(absmax / 2) });
    },
  };
  await quantization.edit(part, {
    options,
    schemes,
    compute,
    random: random(0),
    statistics: {
      take: <Result>({ site, observer }: Observation) => {
        log.push(`take ${observer} of ${site}`);
        const range = { min: Float32Array.of(-1), max: Float32Array.of(1) };
        return Promise.resolve((observer === 'energy' ? Float64Array.of(1, 2) : range) as Result);
      },
      seen: { tokens: 8, sequences: 1 },
    },
    emit(edit) {
      log.push(`emit ${edit.kind === 'parameter' ? edit.name : edit.module}`);
      if (edit.kind === 'codes') edits.push(edit);
      if (edit.kind === 'parameter') parameters.push(edit);
      return Promise.resolve();
    },
    report: remark => void remarks.push(remark),
    measure: unused,
    signal,
  });
  const { codes, observe } = quantization.plan(options, part, schemes);
  return { log, edits, parameters, remarks, codes, observe };
}

describe('QuantizationModifier', () => {
  it('is built in, and nothing else is', () => {
    assert.equal(builtInModifier('QuantizationModifier'), quantization);
    assert.equal(builtInModifier('quantizationmodifier'), undefined);
  });

  it('emits one edit for each module with a scheme, right after it has been observed', async () => {
    const { log, codes, edits } = await run([
      { ...moduleOf('q', 'BF16', 'qkv'), absmax: 1, scheme: 'W4A16' },
      { ...moduleOf('norm', 'BF16'), absmax: 1 },
      { ...moduleOf('k', 'BF16', 'qkv'), absmax: 3, scheme: 'W4A16' },
    ]);
    assert.deepEqual(log, ['observe q', 'emit q', 'observe k', 'emit k']);
    assert.deepEqual(codes, ['q', 'k']);
    assert.deepEqual(
      edits.map(({ codes: c, arithmetic, globalScale: G }) => [c, arithmetic, G]),
      [
        ['nearest', 'reference', null],
        ['nearest', 'reference', null],
      ],
    );
  });

  it('shares one global scale over a fused family, and only over the members that have one', async () => {
    const { edits, log } = await run([
      { ...moduleOf('q', 'BF16', 'qkv'), absmax: 1, scheme: 'NVFP4A16' },
      { ...moduleOf('k', 'BF16', 'qkv'), absmax: 4, scheme: 'NVFP4A16' },
      { ...moduleOf('v', 'BF16', 'qkv'), absmax: 64, scheme: 'W4A16' },
      { ...moduleOf('o', 'BF16'), absmax: 2, scheme: 'NVFP4A16' },
    ]);
    const shared = globalScale(4, 'BF16');
    const of = (name: string) => edits.find(({ module }) => module === name)!.globalScale;
    assert.deepEqual([of('q'), of('k'), of('v'), of('o')], [shared, shared, null, globalScale(2, 'BF16')]);
    assert.notEqual(shared, globalScale(2, 'BF16'));
    assert.ok(log.indexOf('emit q') > log.indexOf('observe k'));
  });

  it('stores scales of activations from what was observed, before it looks at weights', async () => {
    const { log, parameters, observe } = await run([{ ...moduleOf('q', 'BF16'), absmax: 1, scheme: 'FP8' }]);
    assert.deepEqual(log, ['take static_minmax of q.input', 'emit q.input_scale', 'observe q', 'emit q']);
    assert.deepEqual(
      observe!.map(({ site }) => site),
      ['q.input'],
    );
    assert.equal(parameters.length, 1);
  });

  it('gives each module of a fused family the global scale of its own input', async () => {
    const { parameters } = await run([
      { ...moduleOf('q', 'BF16', 'qkv'), absmax: 1, scheme: 'NVFP4' },
      { ...moduleOf('k', 'BF16', 'qkv'), absmax: 4, scheme: 'NVFP4' },
    ]);
    assert.deepEqual(
      parameters.map(({ name, values }) => [name, ...Array.from(values)]),
      [
        ['q.input_global_scale', globalScale(1, 'BF16')],
        ['k.input_global_scale', globalScale(1, 'BF16')],
      ],
    );
  });

  it('lends the energy of inputs to observers that weigh by it, and asks for it nowhere else', async () => {
    const { log, observe } = await run([
      { ...moduleOf('q', 'BF16'), absmax: 1, scheme: 'W4A16 imatrix_mse' },
      { ...moduleOf('e', 'BF16'), classes: ['Embedding', 'Module'], absmax: 1, scheme: 'W4A16 imatrix_mse' },
      { ...moduleOf('k', 'BF16'), absmax: 1, scheme: 'W4A16' },
    ]);
    assert.deepEqual(observe, [{ site: 'q.input', observer: 'energy' }]);
    assert.deepEqual(log, [
      'take energy of q.input',
      'observe q by 1,2',
      'emit q',
      'observe e',
      'emit e',
      'observe k',
      'emit k',
    ]);
  });

  it('hands the arithmetic on', async () => {
    const { edits } = await run([{ ...moduleOf('q', 'BF16'), absmax: 1, scheme: 'W8A16' }], { arithmetic: 'exact' });
    assert.equal(edits[0]!.arithmetic, 'exact');
  });

  it('says where float16 arithmetic was left, and nowhere else', async () => {
    const { remarks } = await run([
      { ...moduleOf('small', 'F16'), absmax: 1e-5, scheme: 'FP8_DYNAMIC' },
      { ...moduleOf('fine', 'F16'), absmax: 1, scheme: 'FP8_DYNAMIC' },
      { ...moduleOf('nvfp4', 'F16'), absmax: 0.01, scheme: 'NVFP4A16' },
      { ...moduleOf('bfloat', 'BF16'), absmax: 1e-5, scheme: 'FP8_DYNAMIC' },
    ]);
    assert.deepEqual(
      remarks.map(({ module }) => module),
      ['small', 'nvfp4'],
    );
    assert.match(remarks[0]!.message, /^4 scales are too small for float16 arithmetic/);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    stop.abort(new TensorpressError('INTERRUPTED', 'stopped'));
    await assert.rejects(run([{ ...moduleOf('q', 'BF16'), absmax: 1, scheme: 'W4A16' }], {}, stop.signal), /stopped/);
  });
});
