import { TensorpressError } from '../errors.js';
import { IMATRIX_MSE, type SearchOptions } from '../numerics/mse.js';
import { searchWeight } from './mse.js';
import { defineObserver, type WeightObservation } from './observer.js';

const TINY = 2 ** -126;

interface ImatrixOptions extends SearchOptions {
  /** Whether it is an error that there is no importance to weigh with. */
  strict: boolean;
}

/**
 * The search of `mse` with errors that count more in columns with larger inputs: w_c = E[x_c²] / mean E. Without a use of E every column counts
 * the same, and the report says so.
 */
export const imatrixMse = defineObserver({
  names: ['imatrix_mse'],
  weighs: true,
  async weightRange(observation) {
    const { importance, args, remark } = observation;
    const { strict, ...options } = {
      ...IMATRIX_MSE,
      strict: false,
      ...(args.observer_kwargs as Partial<ImatrixOptions>),
    };
    const useless = whyUseless(observation);
    if (useless === undefined) return searchWeight(observation, { ...options, importance: relative(importance!) });
    if (strict)
      throw new TensorpressError('TENSOR', `imatrix_mse has no importance: ${useless}`, {
        hint: 'leave strict out, and all columns count the same',
      });
    remark?.(`imatrix_mse lets all columns count the same: ${useless}`);
    return searchWeight(observation, options);
  },
});

/** Why errors cannot be weighed, as a clause; undefined when they can. */
function whyUseless({ importance: E, args: { strategy } }: WeightObservation): string | undefined {
  if (strategy !== 'channel' && strategy !== 'group' && strategy !== 'tensor_group')
    return `strategy ${strategy} has no scale of a row`;
  if (E === undefined) return 'there is no calibration data';
  if (!E.every(Number.isFinite)) return 'the energy of its input is not finite';
  if (E.some(e => e < 0)) return 'the energy of its input is negative';
  if (E.every(e => e === 0)) return 'its input is zero everywhere';
  return undefined;
}

/** w_c = E_c / (mean E + tiny) */
function relative(E: Float64Array): Float32Array {
  const mean = E.reduce((sum, e) => sum + e, 0) / E.length;
  return Float32Array.from(E, e => e / (mean + TINY));
}
