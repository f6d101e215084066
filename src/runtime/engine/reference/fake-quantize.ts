import { TensorpressError } from '../../../errors.js';
import type { QParams } from '../../../numerics/grid.js';
import { fakeQuantize } from '../../../schemes/activation.js';
import { blocks, matrix, vector, type Arrays, type Definition } from './array.js';

/** `fakeQuantize` of x rounded to float32: the one op whose definition is float32 arithmetic, because that of readers is. */
export const fake_quantize: Definition<'fake_quantize'> = (arrays, { args }) => {
  const { x, scale, globalScale } = arrays;
  const [, C] = matrix(x);
  if (globalScale) vector(globalScale, 1);
  const G = globalScale ? globalScale.data[0]! : null;
  if (args.dynamic === 'local' && G === null) throw new TensorpressError('INTERNAL', `${x.name} has no global scale`);
  if (scale) {
    if (args.strategy === 'attn_head') blocks(x, C, vector(scale));
    else if (args.strategy === 'tensor') vector(scale, 1);
    else
      throw new TensorpressError(
        'INTERNAL',
        `${scale.name} is stored, but strategy ${args.strategy} makes its own scales`,
      );
  } else if (args.dynamic === false) throw new TensorpressError('INTERNAL', `${x.name} has no stored scale`);
  const options = scale ? { stored: stored(arrays, args.symmetric, G) } : { globalScale: G };
  const { values } = fakeQuantize(Float32Array.from(x.data), x.shape, args, 'F32', options);
  return { shape: x.shape, data: Float64Array.from(values) };
};

function stored(
  { scale, zeroPoint }: Arrays<'fake_quantize'>,
  symmetric: boolean,
  globalScale: number | null,
): QParams {
  if (zeroPoint) vector(zeroPoint, scale!.data.length);
  const zeros = zeroPoint && !symmetric ? Int8Array.from(zeroPoint.data) : null;
  return { scale: Float32Array.from(scale!.data), zeroPoint: zeros, globalScale };
}
