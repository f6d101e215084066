import { assertObserved } from './finite.js';
import { defineObserver } from './observer.js';

/** The mean over all tokens of what `op` sums, column by column: [C]. */
export function columnMean(name: string, op: 'squares' | 'magnitudes') {
  return defineObserver({
    names: [name],
    values: {
      reduce: () => [{ op, with: {} }],
      init: ({ columns }) => ({ tokens: 0, sum: new Float64Array(columns) }),
      update(state, [reduced], { tokens }) {
        for (let c = 0; c < state.sum.length; c++) state.sum[c]! += reduced![c]!;
        state.tokens += tokens;
      },
      finish({ tokens, sum }) {
        assertObserved(tokens, sum);
        return sum.map(v => v / tokens);
      },
    },
  });
}
