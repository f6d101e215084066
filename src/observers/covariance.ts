import { gram } from './gram.js';
import { defineObserver } from './observer.js';

/** E[x xᵀ] over all tokens, about 0, [n, n]. Only the upper triangle is filled. */
export const covariance = defineObserver({
  names: ['covariance'],
  values: gram(sum => {
    const { values, tokens } = sum;
    for (let i = 0; i < values.length; i++) values[i]! /= tokens;
    return sum;
  }),
});
