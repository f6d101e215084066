import assert from 'node:assert/strict';
import { formatBytes, formatCount, formatDuration, formatEstimate, formatScheme } from '../../src/run/units.js';
import { preset } from '../../src/schemes/presets.js';

describe('units', () => {
  const bytes: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [9_994, '9.99 kB'],
    [99_949, '99.9 kB'],
    [99_960, '100 kB'],
    [999_499, '999 kB'],
    [999_600, '1.00 MB'],
    [988_097_824, '988 MB'],
    [15_231_233_024, '15.2 GB'],
    [2.5e15, '2.50 PB'],
    [5e18, '5000 PB'],
  ];
  for (const [n, text] of bytes) it(`${n} bytes are ${text}`, () => assert.equal(formatBytes(n), text));

  const counts: [number, string][] = [
    [7, '7'],
    [5_767_168, '5.77 M'],
    [999_700, '1.00 M'],
    [494_032_768, '494 M'],
    [7_615_616_512, '7.62 B'],
  ];
  for (const [n, text] of counts) it(`${n} parameters are ${text}`, () => assert.equal(formatCount(n), text));

  const durations: [number, string][] = [
    [0, '0.0 s'],
    [420, '0.4 s'],
    [9_940, '9.9 s'],
    [9_960, '10 s'],
    [59_400, '59 s'],
    [59_600, '1:00'],
    [641_000, '10:41'],
    [3_599_700, '1:00:00'],
    [7_390_000, '2:03:10'],
  ];
  for (const [ms, text] of durations) it(`${ms} ms are ${text}`, () => assert.equal(formatDuration(ms), text));

  const schemes: [name: string, weights: string, inputs: string | null][] = [
    ['W4A16_ASYM', 'int4 group 128 asymmetric', null],
    ['W8A8', 'int8 channel symmetric', 'int8 token symmetric dynamic'],
    ['FP8_BLOCK', 'fp8 block 128x128', 'fp8 group 128 dynamic'],
    ['NVFP4', 'fp4 tensor_group 16', 'fp4 tensor_group 16 dynamic'],
    ['FP8', 'fp8 tensor', 'fp8 tensor'],
  ];
  for (const [name, weights, inputs] of schemes) {
    it(`${name} is ${weights}`, () => {
      const { weights: w, input_activations: i } = preset(name, ['Linear'])!;
      assert.deepEqual([formatScheme(w!), i && formatScheme(i)], [weights, inputs]);
    });
  }
});

describe('an estimate', () => {
  it('has the digits that its interval leaves', () => {
    const estimate = (value: number, half?: number) =>
      formatEstimate(value, half === undefined ? undefined : { low: value - half, high: value + half });
    assert.deepEqual(
      [estimate(0.00726, 0.00037), estimate(0.0312, 0.002), estimate(15.83, 1.1), estimate(0.0312), estimate(0, 0)],
      ['0.0073 ± 0.0004', '0.031 ± 0.002', '16 ± 1', '0.031', '0'],
    );
    assert.equal(estimate(3.21e-8, 2e-9), '3.2e-8 ± 2e-9');
  });
});
