import { bitStream } from './codes.js';
import { defineWeightFormat } from './define.js';
import { groupIndex, modelScale, packedZeroPoint, weightShape } from './parameters.js';

/** Integers of 1 to 8 bits, dense in int32 words: the format of weight-only schemes (W4A16). */
export const packQuantized = defineWeightFormat({
  name: 'pack-quantized',
  holds: ['int'],
  codes: bitStream,
  parameters: [modelScale, packedZeroPoint, weightShape, groupIndex],
});
