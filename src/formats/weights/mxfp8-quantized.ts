import { wholeBytes } from './codes.js';
import { defineWeightFormat } from './define.js';
import { e8m0Scale } from './parameters.js';

/** MXFP8 of the OCP microscaling formats: float8 in groups of 32 with a power of two each. */
export const mxfp8Quantized = defineWeightFormat({
  name: 'mxfp8-quantized',
  holds: ['fp8'],
  strategies: ['group'],
  group_size: 32,
  scale_dtype: 'torch.uint8',
  codes: wholeBytes,
  parameters: [e8m0Scale],
});
