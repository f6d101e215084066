import type { FormatName, QuantizationScheme } from './args.js';

/**
 * The format in which a Linear or Embedding of this scheme is stored: the scheme's own `format`, else compressed-tensors' inference, first
 * match wins. Quantized inputs send integer weights to int-quantized, one byte per weight whatever their width.
 */
export function inferFormat(scheme: QuantizationScheme): FormatName {
  const { weights, input_activations: inputs, format } = scheme;
  if (format !== null) return format;
  if (weights === null) return 'dense';
  const { type, num_bits, group_size, scale_dtype } = weights;
  if (type === 'float') {
    if (num_bits === 4 && group_size === 32) return 'mxfp4-pack-quantized';
    if (num_bits === 8 && group_size === 32 && scale_dtype === 'torch.uint8') return 'mxfp8-quantized';
    if (num_bits === 4 && group_size === 16) return 'nvfp4-pack-quantized';
    return inputs === null ? 'naive-quantized' : 'float-quantized';
  }
  return inputs === null ? 'pack-quantized' : 'int-quantized';
}
