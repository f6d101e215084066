import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { conformance } from '../../support/conformance.js';

conformance('onnx on cpu', () => createOnnxEngine({ device: 'cpu', threads: 2 }));
