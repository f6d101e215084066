import assert from 'node:assert/strict';
import type { TensorpressError } from '../../../src/errors.js';
import type { Device, EngineName } from '../../../src/runtime/engine/engine.js';
import { openEngine } from '../../../src/runtime/engine/open.js';

describe('openEngine', () => {
  it('opens onnx where nothing else is said', async () => {
    const engine = await openEngine();
    assert.equal(engine.name, 'onnx');
    assert.match(engine.description, /^onnxruntime .* on /);
    await engine.close();
  });

  it('opens the engine, the device and the threads that are asked for', async () => {
    const asked: [EngineName, Device | 'auto', RegExp][] = [
      ['onnx', 'cpu', /on cpu, 1 thread$/],
      ['tfjs', 'wasm', /on wasm/],
      ['tfjs', 'cpu', /on cpu/],
      ['reference', 'cpu', /float64/],
      ['reference', 'auto', /float64/],
    ];
    for (const [name, device, description] of asked) {
      const engine = await openEngine({ engine: name, device, threads: 1 });
      assert.equal(engine.name, name);
      assert.match(engine.description, description);
      if (device !== 'auto') assert.equal(engine.device, device);
      await engine.close();
    }
  });

  it('names what is possible instead of a device that an engine does not have', async () => {
    const wrong: [EngineName, Device, string, RegExp][] = [
      ['onnx', 'wasm', 'engine onnx does not compute on wasm', /^use --device auto or cpu.*, or --engine tfjs$/],
      ['reference', 'webgpu', 'engine reference does not compute on webgpu', /^use --device auto or cpu/],
      ['tfjs', 'webgpu', 'engine tfjs does not compute on webgpu', /^use --device auto or cpu or wasm or cuda/],
    ];
    for (const [engine, device, message, hint] of wrong) {
      await assert.rejects(openEngine({ engine, device }), (error: TensorpressError) => {
        assert.equal(error.code, 'ARGUMENT');
        assert.equal(error.message, message);
        assert.match(error.hint!, hint);
        return true;
      });
    }
  });
});
