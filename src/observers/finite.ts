import { TensorpressError } from '../errors.js';

/**
 * Makes sure that a value was observed, and that what became of it is a number.
 * @throws TensorpressError TENSOR when no token was seen, or when one of the numbers is NaN or infinite
 */
export function assertObserved(tokens: number, ...found: readonly ArrayLike<number>[]): void {
  if (tokens === 0)
    throw new TensorpressError('TENSOR', 'no tokens reached it', {
      hint: 'use more calibration data, or leave out what the data never reaches',
    });
  for (const numbers of found) {
    for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i])) throw notFinite();
  }
}

function notFinite(): TensorpressError {
  return new TensorpressError('TENSOR', 'it holds NaN or infinity', {
    hint: 'the model overflows on the calibration data, or its weights are damaged',
  });
}
