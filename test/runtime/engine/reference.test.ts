import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { conformance } from '../../support/conformance.js';

conformance('reference', () => Promise.resolve(createReferenceEngine()), { tolerance: 0 });
