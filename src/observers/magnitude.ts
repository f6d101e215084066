import { columnMean } from './column-mean.js';

/** E[|x_c|] over all tokens, [C]: the saliency of AWQ. */
export const magnitude = columnMean('magnitude', 'magnitudes');
