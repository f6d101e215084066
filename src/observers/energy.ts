import { columnMean } from './column-mean.js';

/** E[x_c²] over all tokens, [C]: how much an error in column c of the weight that reads x counts. */
export const energy = columnMean('energy', 'squares');
