import assert from 'node:assert/strict';
import { hiddenPlot } from '../../../../src/run/html/plots/hidden.js';
import { circles, texts } from '../../../support/drawing.js';

const POINTS = [0, 0.01, 0.02, 0.04, 0.05].map((error, i) => ({ layer: i - 1, error }));
const TICKS = [0.01, 0.02, 0.05, 0.1];

describe('the plot of hidden states', () => {
  it('has a point for each layer that is not exact, on a logarithmic scale', async () => {
    const { text } = await hiddenPlot('relMSE', POINTS, TICKS, undefined);
    const points = circles(text);
    assert.equal(points.length, 4);
    const ys = points.map(({ y }) => y);
    // from 0.01 to 0.02 and from 0.02 to 0.04 it rises alike
    assert.ok(Math.abs(ys[0]! - ys[1]! - (ys[1]! - ys[2]!)) < 0.01, ys.join());
    assert.ok(ys.every((y, i) => i === 0 || y < ys[i - 1]!));
    assert.deepEqual(texts(text), ['layer 0', '2', '3', '0.01', '0.02', '0.05', '0.1']);
    assert.match(text, /aria-label="relMSE behind layers 0 to 3; at the end 0\.0500"/);
    assert.doesNotMatch(text, /var\(--look\)/);
  });

  it('marks layers to look at before a shade', async () => {
    const { text } = await hiddenPlot('relMSE', POINTS, TICKS, { from: 1, to: 2, share: 0.6 });
    const [data, look] = ['data', 'look'].map(ink => circles(text).filter(({ fill }) => fill === `var(--${ink})`));
    assert.deepEqual([data!.length, look!.length], [2, 2]);
    const [left, right] = [Math.min(...look!.map(({ x }) => x)), Math.max(...look!.map(({ x }) => x))];
    assert.ok(data!.every(({ x }) => x < left || x > right));
    assert.match(text, /fill="var\(--look\)" opacity="0\.14"/);
  });
});
