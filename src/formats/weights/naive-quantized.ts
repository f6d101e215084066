import { wholeBytes } from './codes.js';
import { defineWeightFormat } from './define.js';
import { byteZeroPoint, groupIndex, modelScale } from './parameters.js';

/** A byte per weight where no other format claims the scheme: float8 without quantized activations. */
export const naiveQuantized = defineWeightFormat({
  name: 'naive-quantized',
  holds: ['int', 'fp8'],
  codes: wholeBytes,
  parameters: [modelScale, byteZeroPoint, groupIndex],
});
