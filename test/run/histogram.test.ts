import assert from 'node:assert/strict';
import { codeHistogram } from '../../src/run/histogram.js';
import { normalizeArgs } from '../../src/schemes/args.js';

/** Usage where code `byte` occurs as often as `counts` says. */
function usage(counts: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: 256 }, (_, byte) => counts[byte] ?? 0);
}
const args = (input: object) => normalizeArgs(input).args!;

describe('codeHistogram', () => {
  it('orders the codes of integers by value, negative ones first', () => {
    const { labels, counts } = codeHistogram(args({ num_bits: 3 }), usage({ 0xfc: 1, 0xff: 2, 0: 3, 3: 4 }));
    assert.deepEqual(labels, ['-4', '-3', '-2', '-1', '0', '1', '2', '3']);
    assert.deepEqual(counts, [1, 0, 0, 2, 3, 0, 0, 4]);
  });

  it('has all 256 codes of int8', () => {
    const { labels, counts } = codeHistogram(args({ num_bits: 8 }), usage({ 0x80: 5, 0x7f: 6 }));
    assert.deepEqual([labels.length, labels[0], labels[255]], [256, '-128', '127']);
    assert.deepEqual([counts[0], counts[255]], [5, 6]);
  });

  it('orders fp4 by value and counts both zeros as one', () => {
    const { labels, counts } = codeHistogram(
      args({ num_bits: 4, type: 'float' }),
      usage({ 15: 1, 9: 2, 8: 3, 0: 4, 1: 5, 7: 6 }),
    );
    assert.deepEqual(labels, [
      '-6',
      '-4',
      '-3',
      '-2',
      '-1.5',
      '-1',
      '-0.5',
      '0',
      '0.5',
      '1',
      '1.5',
      '2',
      '3',
      '4',
      '6',
    ]);
    assert.deepEqual(counts, [1, 0, 0, 0, 0, 0, 2, 7, 5, 0, 0, 0, 0, 0, 6]);
  });

  it('counts fp8 by sign and exponent, each under its smallest magnitude', () => {
    const codes = usage({ 0xfe: 1, 0xf8: 1, 0x80: 2, 0x81: 1, 0x00: 4, 0x07: 1, 0x08: 8, 0x38: 16, 0x3f: 1, 0x7e: 32 });
    const { labels, counts } = codeHistogram(args({ num_bits: 8, type: 'float' }), codes);
    assert.equal(labels.length, 32);
    const at = (label: string) => counts[labels.indexOf(label)];
    assert.deepEqual([at('-256'), at('-0'), at('0'), at('0.015625'), at('1'), at('256')], [2, 3, 5, 8, 17, 32]);
    assert.equal(
      counts.reduce((a, b) => a + b),
      codes.reduce((a, b) => a + b),
    );
    const values = labels.map(Number);
    assert.deepEqual(
      [...values].sort((a, b) => a - b),
      values,
    );
  });
});
