import { TensorpressError } from '../../../errors.js';
import type { Op } from '../../model/graph.js';
import type { Builder, Wire } from './builder.js';

export function lowerFakeQuantize(
  _b: Builder,
  _arrays: { readonly [K in keyof Op<'fake_quantize'>['in']]: Wire },
  _constants: Op<'fake_quantize'>['with'],
): Wire {
  throw new TensorpressError('NOT_BUILT', 'quantized activations do not run on onnxruntime yet');
}
