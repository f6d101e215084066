import assert from 'node:assert/strict';
import { errorText, layerAxis, tickTexts } from '../../../../src/run/html/plots/axes.js';

/** What an expression of Vega gives beside each tick. */
const texts = (expression: string, values: readonly number[]) =>
  values.map(value => (JSON.parse(/^(.*)\[datum\.value\]$/.exec(expression)![1]!) as Record<string, string>)[value]);

describe('the axes of plots', () => {
  it('have a text of ours beside each tick', () => {
    assert.deepEqual(
      texts(
        tickTexts([0, 0.5, 1e-7], tick => `<${tick}>`),
        [0, 0.5, 1e-7],
      ),
      ['<0>', '<0.5>', '<1e-7>'],
    );
    assert.deepEqual([0, 0.001, 0.25, 0.0001, 5e-7].map(errorText), ['0', '0.001', '0.25', '1e-4', '5e-7']);
  });

  it('name the first layer, and number the middle and the last', () => {
    const { values, labelExpr } = layerAxis(23);
    assert.deepEqual(texts(labelExpr, values), ['layer 0', '12', '23']);
  });
});
