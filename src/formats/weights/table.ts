import { TensorpressError } from '../../errors.js';
import type { FormatName } from '../../schemes/args.js';
import type { WeightFormat } from '../format.js';
import { floatQuantized } from './float-quantized.js';
import { intQuantized } from './int-quantized.js';
import { mxfp4PackQuantized } from './mxfp4-pack-quantized.js';
import { mxfp8Quantized } from './mxfp8-quantized.js';
import { naiveQuantized } from './naive-quantized.js';
import { nvfp4PackQuantized } from './nvfp4-pack-quantized.js';
import { packQuantized } from './pack-quantized.js';

/** Every format that stores codes. */
export const WEIGHT_FORMATS: readonly WeightFormat[] = [
  packQuantized,
  intQuantized,
  floatQuantized,
  naiveQuantized,
  nvfp4PackQuantized,
  mxfp4PackQuantized,
  mxfp8Quantized,
];

/**
 * The pair of a format.
 * @throws TensorpressError INTERNAL for `dense`, which stores no codes
 */
export function weightFormat(name: FormatName): WeightFormat {
  const format = WEIGHT_FORMATS.find(candidate => candidate.name === name);
  if (format === undefined) throw new TensorpressError('INTERNAL', `${name} is not a format of quantized weights`);
  return format;
}
