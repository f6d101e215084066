import assert from 'node:assert/strict';
import { damagedLayers, layerNames } from '../../src/run/quality.js';

/** Layers from the embedding on whose turns are these. */
const layers = (...turns: number[]) => turns.map((t, i) => ({ layer: i - 1, rel_mse: 2 * t, cosine: 1 - t }));

describe('where hidden states leave those of the original', () => {
  it('is the shortest run of layers with half of the turn', () => {
    const { from, to, share } = damagedLayers(layers(0, 0.01, 0.02, 0.03, 0.031, 0.032, 0.033, 0.034, 0.04, 0.041))!;
    assert.deepEqual([from, to], [0, 2]);
    assert.ok(Math.abs(share - 30 / 41) < 1e-9);
    assert.equal(damagedLayers(layers(0.02, 0.021, 0.022, 0.023))?.from, -1);
    // what falls again is no damage
    assert.equal(damagedLayers(layers(0, 0.001, 0.03, 0.02, 0.01, 0.011, 0.012))?.from, 1);
  });

  it('is nowhere where it is everywhere, or where nothing changed', () => {
    assert.equal(damagedLayers(layers(0, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3)), undefined);
    assert.equal(damagedLayers(layers(0, 0, 0)), undefined);
    assert.equal(damagedLayers([]), undefined);
  });

  it('has a name', () => {
    const name = (from: number, to: number) => layerNames({ from, to, share: 1 });
    assert.deepEqual(
      [name(3, 3), name(0, 2), name(-1, -1), name(-1, 0), name(-1, 2)],
      ['layer 3', 'layers 0-2', 'the embedding', 'the embedding and layer 0', 'the embedding and layers 0-2'],
    );
  });
});
