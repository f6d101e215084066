import assert from 'node:assert/strict';
import type { TensorpressError } from '../../src/errors.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { divisibilityProblem, weightArgsProblem, weightGrid } from '../../src/schemes/grids.js';
import { preset } from '../../src/schemes/presets.js';

const args = (input: Record<string, unknown>): QuantizationArgs => normalizeArgs(input).args!;

describe('grids of weights', () => {
  it('every strategy is a grid', () => {
    const shapes = [{}, { strategy: 'channel' }, { group_size: 4 }, { strategy: 'block', block_structure: [4, 5] }].map(
      input => {
        const { gridRows, gridColumns, blockRows, blockColumns } = weightGrid(args(input), 6, 8);
        return [gridRows, gridColumns, blockRows, blockColumns];
      },
    );
    assert.deepEqual(shapes, [
      [1, 1, 6, 8],
      [6, 1, 1, 8],
      [6, 2, 1, 4],
      [2, 2, 4, 5],
    ]);
  });

  it('strategies that a weight does not have are refused', () => {
    for (const input of [{ strategy: 'token', dynamic: true }, { strategy: 'attn_head' }]) {
      assert.throws(
        () => weightGrid(args(input), 2, 2),
        (e: TensorpressError) => e.code === 'PLAN',
      );
      assert.match(weightArgsProblem(args(input))!, /cannot use strategy/);
    }
    assert.match(weightArgsProblem(args({ dynamic: true }))!, /cannot be dynamic/);
    assert.equal(weightArgsProblem(args({ group_size: 32 })), undefined);
  });

  it('a group size that does not divide is named with the sizes that would', () => {
    assert.deepEqual(divisibilityProblem(args({ group_size: 128 }), 64, 192), {
      message: 'the 192 columns of [64, 192] do not divide into groups of 128',
      divisors: [192, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2],
    });
    assert.deepEqual(divisibilityProblem(args({ group_size: 128 }), 8, 48)!.divisors.at(0), 48);
    assert.deepEqual(divisibilityProblem(preset('NVFP4', [])!.weights!, 8, 24)!.divisors, []);
    assert.equal(divisibilityProblem(args({ group_size: 32 }), 8, 64), undefined);
    assert.equal(divisibilityProblem(preset('FP8_BLOCK', [])!.weights!, 5, 7), undefined);
    assert.equal(divisibilityProblem(preset('FP8_BLOCK', [])!.input_activations!, 1, 192)!.divisors.includes(64), true);
  });
});
