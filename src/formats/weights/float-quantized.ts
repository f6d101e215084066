import { wholeBytes } from './codes.js';
import { defineWeightFormat } from './define.js';
import { groupIndex, modelScale } from './parameters.js';

/** float8 weights beside quantized activations (FP8, FP8_DYNAMIC, FP8_BLOCK). */
export const floatQuantized = defineWeightFormat({
  name: 'float-quantized',
  holds: ['fp8'],
  codes: wholeBytes,
  parameters: [modelScale, groupIndex],
});
