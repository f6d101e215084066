import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { conformance } from '../../support/conformance.js';

// Runs wherever WebGPU finds a device, also a software one (VK_ICD_FILENAMES names its driver).
conformance(
  'onnx on webgpu',
  async () => {
    try {
      return await createOnnxEngine({ device: 'webgpu', threads: 2 });
    } catch (error) {
      return { skip: (error as Error).message };
    }
  },
  { tolerance: 2e-5, codes: 'nearly' },
);
