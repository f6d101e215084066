import { nibbles } from './codes.js';
import { defineWeightFormat } from './define.js';
import { e8m0Scale } from './parameters.js';

/** MXFP4 of the OCP microscaling formats: fp4 in groups of 32 with a power of two each. */
export const mxfp4PackQuantized = defineWeightFormat({
  name: 'mxfp4-pack-quantized',
  holds: ['fp4'],
  strategies: ['group'],
  group_size: 32,
  scale_dtype: 'torch.uint8',
  codes: nibbles,
  parameters: [e8m0Scale],
});
