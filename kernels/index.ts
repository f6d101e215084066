// The hot loops in SIMD, each the twin of a function in src/numerics/ of the same name; src/numerics/kernels.ts lists them, and a property
// test holds the two equal bit for bit. They work on one row at a time, which lies in memory as a multiple of 16 columns: what fills the
// last of them is read and written, but never shows. Pointers are the caller's.

export { decodeRow, encodeRow } from './codes';
export { accumulateError, countCodes } from './error';
export { formError, subtractTerms } from './feedback';
export { subtractProduct32, subtractProduct64 } from './product';
export { accumulateRange, isFinite } from './range';
export { scaleRow, spreadBlocks } from './scale';
export { widenRow } from './widen';

/** Where free memory begins. */
export function heapBase(): usize {
  return __heap_base;
}
