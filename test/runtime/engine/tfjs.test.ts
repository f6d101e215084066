import assert from 'node:assert/strict';
import * as tf from '@tensorflow/tfjs-core';
import type { TensorpressError } from '../../../src/errors.js';
import type { Engine } from '../../../src/runtime/engine/engine.js';
import { probeTfjs } from '../../../src/runtime/engine/tfjs/backend.js';
import { createTfjsEngine } from '../../../src/runtime/engine/tfjs/engine.js';
import { slice } from '../../../src/runtime/model/slice.js';
import { conformance } from '../../support/conformance.js';

/** Why TensorFlow's C library cannot be tested here. */
const nodeGpu = await import('@tensorflow/tfjs-node-gpu' as string).then(
  () => undefined,
  () => 'skipped: @tensorflow/tfjs-node-gpu is not installed',
);

conformance('tfjs on wasm', () => createTfjsEngine({ device: 'wasm' }));
conformance('tfjs on cpu', () => createTfjsEngine({ device: 'cpu' }));
if (nodeGpu === undefined) conformance('tfjs on tfjs-node-gpu', () => createTfjsEngine());
else
  it(`the engine tfjs on tfjs-node-gpu: ${nodeGpu}`, function () {
    this.skip();
  });

const linear = slice(
  [
    { op: 'linear', in: { x: 'x', weight: 'w' }, with: {}, out: 'y' },
    { op: 'gated', in: { gate: 'y', up: 'y' }, with: { act: 'silu' }, out: 'z' },
  ],
  ['y', 'z'],
);

for (const device of ['wasm', 'cpu'] as const) {
  describe(`the engine tfjs on ${device}`, () => {
    let engine: Engine;
    beforeEach(async () => void (engine = await createTfjsEngine({ device })));
    afterEach(() => engine.close());

    const given = () => ({
      x: engine.tensor(Float32Array.of(1, 2), [1, 2]),
      w: engine.tensor(Float32Array.of(1, 0, 0, 1, 1, 1), [3, 2]),
    });

    it('says what it is', () => {
      assert.equal(engine.name, 'tfjs');
      assert.equal(engine.device, device);
      assert.match(engine.description, new RegExp(`^tfjs 4\\.\\d+\\.\\d+ on ${device}`));
    });

    it('leaves nothing but its outputs on the device', async () => {
      const program = engine.compile(linear);
      const { numTensors } = tf.memory();
      const outputs = await program.run(given());
      assert.equal(tf.memory().numTensors, numTensors + 2);
      assert.deepEqual([...(await outputs['y']!.read())], [1, 2, 3]);
      Object.values(outputs).forEach(tensor => tensor.dispose());
      Object.values(outputs).forEach(tensor => tensor.dispose());
      assert.equal(tf.memory().numTensors, numTensors);
    });

    it('leaves nothing behind when an op fails', async () => {
      const { numTensors } = tf.memory();
      const inputs = { ...given(), x: engine.tensor(new Float32Array(3), [1, 3]) };
      await assert.rejects(engine.compile(linear).run(inputs), ({ code, message }: TensorpressError) => {
        assert.equal(code, 'ENGINE');
        assert.match(message, new RegExp(`^tfjs fails on ${device}: .*shape`));
        return true;
      });
      assert.equal(tf.memory().numTensors, numTensors);
    });

    it('frees what is not disposed when it closes', async () => {
      const { numTensors } = tf.memory();
      await engine.compile(linear).run(given());
      await engine.close();
      assert.equal(tf.memory().numTensors, numTensors);
    });

    it('refuses a tensor that was disposed, and an input that is missing', async () => {
      const inputs = given();
      inputs.w.dispose();
      await assert.rejects(engine.compile(linear).run(inputs), /\[3, 2\] is used after it was disposed/);
      await assert.rejects(engine.compile(linear).run({ w: inputs.w }), /nothing is given for x/);
    });
  });
}

describe('tfjs', () => {
  it('runs on wasm and on cpu at the same time', async () => {
    const engines = [await createTfjsEngine({ device: 'wasm' }), await createTfjsEngine({ device: 'cpu' })];
    const results = await Promise.all(
      [...engines, ...engines].map(async engine => {
        const x = engine.tensor(Float32Array.of(1, 2), [1, 2]);
        const w = engine.tensor(Float32Array.of(3, 4), [1, 2]);
        const { y } = await engine.compile(linear).run({ x, w });
        return (await y!.read())[0];
      }),
    );
    assert.deepEqual(results, [11, 11, 11, 11]);
    await Promise.all(engines.map(engine => engine.close()));
  });

  it('takes the best device there is', async function () {
    if (nodeGpu === undefined) return this.skip();
    const engine = await createTfjsEngine();
    assert.equal(engine.device, 'wasm');
    await engine.close();
  });

  it('says how to get what is asked for by name', async function () {
    if (nodeGpu === undefined) return this.skip();
    for (const [device, message, hint] of [
      ['cuda', 'tfjs cannot use cuda: the package @tensorflow/tfjs-node-gpu is not installed', /^npm install @tensor/],
      ['webgpu', 'tfjs cannot use webgpu: it has no WebGPU outside browsers', /--engine onnx/],
    ] as const) {
      await assert.rejects(createTfjsEngine({ device }), (error: TensorpressError) => {
        assert.equal(error.code, 'ENGINE');
        assert.equal(error.message, message);
        assert.match(error.hint!, hint);
        return true;
      });
    }
  });

  it('reports each device once, with a hint for each that is missing', async () => {
    const reports = await probeTfjs();
    assert.deepEqual(reports.map(({ device }) => device).sort(), ['cpu', 'cuda', 'wasm', 'webgpu']);
    assert.deepEqual(
      reports.filter(({ device }) => device === 'cpu' || device === 'wasm').map(({ available }) => available),
      [true, true],
    );
    for (const { available, hint } of reports) assert.equal(hint === undefined, available);
  });

  it('adds no listeners to the process', async () => {
    const engine = await createTfjsEngine({ device: 'wasm' });
    const strangers = (['uncaughtException', 'unhandledRejection'] as const)
      .flatMap(event => process.listeners(event as 'uncaughtException'))
      .filter(listener => /ExitStatus|^function \(reason\)/.test(listener.toString()));
    assert.deepEqual(strangers, []);
    await engine.close();
  });
});

/** tfjs-node-gpu as far as an engine sees it: kernels of the cpu backend under its name. */
function fakeLibrary({ gpu }: { gpu: boolean }): () => Promise<void> {
  return async () => {
    const { MathBackendCPU } = await import('@tensorflow/tfjs-backend-cpu');
    if (tf.getKernelsForBackend('tensorflow').length === 0) tf.copyRegisteredKernels('cpu', 'tensorflow');
    tf.registerBackend('tensorflow', () => Object.assign(new MathBackendCPU(), { isUsingGpuDevice: gpu }));
  };
}

describe("tfjs with TensorFlow's C library", () => {
  let engine: Engine | undefined;
  afterEach(async () => {
    await engine?.close();
    engine = undefined;
    if (tf.findBackendFactory('tensorflow') !== null) tf.removeBackend('tensorflow');
  });

  it('takes its GPU, where arrays stay', async () => {
    engine = await createTfjsEngine({ importLibrary: fakeLibrary({ gpu: true }) });
    assert.equal(engine.device, 'cuda');
    assert.match(engine.description, /^tfjs .* on cuda, by TensorFlow's C library$/);
    const { numTensors } = tf.memory();
    const table = engine.tensor(Float32Array.of(1, 2, 3, 4), [2, 2]);
    const ids = engine.tensor(Int32Array.of(1, 0, 1), [3]);
    assert.equal(tf.memory().numTensors, numTensors + 2);
    const gather = slice(
      [{ op: 'gather', in: { table: 'table', ids: 'ids' }, with: {}, out: 'y' }],
      ['y', 'table'],
      new Set(['table']),
    );
    const outputs = await engine.compile(gather).run({ table, ids });
    table.dispose();
    assert.deepEqual([...(await outputs['y']!.read())], [3, 4, 1, 2, 3, 4]);
    assert.deepEqual([...(await outputs['table']!.read())], [1, 2, 3, 4]);
    await engine.close();
    assert.equal(tf.memory().numTensors, numTensors);
  });

  it('leaves its GPU alone when another device is asked for by name', async () => {
    for (const device of ['cpu', 'wasm'] as const) {
      engine = await createTfjsEngine({ device, importLibrary: fakeLibrary({ gpu: true }) });
      assert.match(engine.description, new RegExp(`^tfjs .* on ${device}( with SIMD|, in JavaScript), 1 thread$`));
    }
  });

  it('computes on the cpu where there is no GPU, and says so when one is asked for', async () => {
    const importLibrary = fakeLibrary({ gpu: false });
    engine = await createTfjsEngine({ importLibrary });
    assert.match(engine.description, /^tfjs .* on cpu, by TensorFlow's C library$/);
    await assert.rejects(createTfjsEngine({ device: 'cuda', importLibrary }), /cuda: TensorFlow finds no CUDA GPU$/);
  });

  it('goes on without it where it does not load', async () => {
    const importLibrary = (): Promise<void> =>
      Promise.reject(new Error('libtensorflow.so.2: wrong ELF class\n  at ...'));
    engine = await createTfjsEngine({ importLibrary });
    assert.equal(engine.device, 'wasm');
    await assert.rejects(
      createTfjsEngine({ device: 'cuda', importLibrary }),
      /@tensorflow\/tfjs-node-gpu does not load: libtensorflow.so.2: wrong ELF class$/,
    );
  });
});
