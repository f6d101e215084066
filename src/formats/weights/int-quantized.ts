import { wholeBytes } from './codes.js';
import { defineWeightFormat } from './define.js';
import { byteZeroPoint, groupIndex, modelScale } from './parameters.js';

/** Integers, a byte each whatever their width: what readers expect where activations are quantized too (W8A8). */
export const intQuantized = defineWeightFormat({
  name: 'int-quantized',
  holds: ['int'],
  codes: wholeBytes,
  parameters: [modelScale, byteZeroPoint, groupIndex],
});
