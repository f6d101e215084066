import { gram } from './gram.js';
import { defineObserver } from './observer.js';

/** H = sum x xᵀ over all tokens, [n, n]: what GPTQ and SparseGPT call the Hessian, up to a constant. Only the upper triangle is filled. */
export const hessian = defineObserver({ names: ['hessian'], values: gram(sum => sum) });
