import assert from 'node:assert/strict';
import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { probeOnnx } from '../../../src/runtime/engine/onnx/probe.js';

describe('devices of onnxruntime', () => {
  it('the processor is always there; what is missing comes with a reason and a way out', async () => {
    const found = await probeOnnx();
    assert.deepEqual(
      found.map(({ device }) => device),
      ['cuda', 'webgpu', 'cpu'],
    );
    assert.equal(found[2]!.available, true);
    for (const { available, why, hint } of found) assert.ok(available || (why !== undefined && hint !== undefined));
  });

  it('a device whose driver does not load is not available, and says so when it is asked for', async function () {
    if (process.platform !== 'linux') this.skip();
    const env = process.env['VK_ICD_FILENAMES'];
    process.env['VK_ICD_FILENAMES'] = '/dev/null';
    try {
      const webgpu = (await probeOnnx()).find(({ device }) => device === 'webgpu')!;
      assert.equal(webgpu.available, false);
      await assert.rejects(createOnnxEngine({ device: 'webgpu' }), { code: 'ENGINE', message: /no webgpu device/ });
    } finally {
      if (env === undefined) delete process.env['VK_ICD_FILENAMES'];
      else process.env['VK_ICD_FILENAMES'] = env;
    }
  });
});
