import { TensorpressError, type Place } from '../../errors.js';

// A user's code may end the process or the thread that it runs in; Node.js says nothing of who it was.

/** What Node.js ends with where it waits for a promise that nothing can settle any more. */
export const UNSETTLED = 13;

/** The error for a plugin that waits for ever. @param what what it never does */
export function neverEnds(what = 'a plugin never ends what it has begun', place: Place = {}): TensorpressError {
  return new TensorpressError('PLUGIN', what, {
    place,
    hint: 'it waits for something that never comes: an await of a promise that nothing settles',
  });
}

/** The error for a plugin that calls `process.exit`. */
export function endsTheProcess(code: number): TensorpressError {
  return new TensorpressError('PLUGIN', `a plugin ends the process: process.exit(${code})`, {
    hint: 'a plugin throws an error where it cannot go on',
  });
}
