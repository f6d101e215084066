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
        assert.match(message, new RegExp(`^tfjs failed on ${device}: .*shape`));
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
      await assert.rejects(engine.compile(linear).run(inputs), /the tensor of w is disposed/);
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
