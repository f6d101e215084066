import { nibbles } from './codes.js';
import { defineWeightFormat } from './define.js';
import { e4m3Scale, globalScale } from './parameters.js';

/** NVFP4: fp4 in groups of 16, float8 scales, one float32 scale G of the tensor above them. */
export const nvfp4PackQuantized = defineWeightFormat({
  name: 'nvfp4-pack-quantized',
  holds: ['fp4'],
  strategies: ['tensor_group', 'group'],
  group_size: 16,
  scale_dtype: 'torch.float8_e4m3fn',
  codes: nibbles,
  parameters: [e4m3Scale, globalScale],
});
