import assert from 'node:assert/strict';
import { counted, day, decibel, digits, duration, percent, relative, whole } from '../../../src/run/html/figures.js';

describe('figures of the page', () => {
  it('name days in English and UTC', () => {
    assert.equal(day('2026-11-24T23:59:59.999Z'), '24 November 2026');
    assert.equal(day('2027-01-01T00:00:00.000Z'), '1 January 2027');
    assert.equal(day('yesterday'), 'yesterday');
  });

  it('carry their units', () => {
    assert.deepEqual([0, 8.34, 41, 59.6, 641.4, 3599.9, 7385].map(duration), [
      '0.0 s',
      '8.3 s',
      '41 s',
      '1 min 0 s',
      '10 min 41 s',
      '1 h 0 min',
      '2 h 3 min',
    ]);
    assert.deepEqual([0, 1, 0.138, 0.00095, 0.00021, 1.3e-7].map(percent), [
      '0.0\u00a0%',
      '100.0\u00a0%',
      '13.8\u00a0%',
      '0.1\u00a0%',
      '0.021\u00a0%',
      '1.3e-5\u00a0%',
    ]);
    assert.deepEqual([18.94, null].map(decibel), ['18.9\u00a0dB', 'exact']);
    assert.deepEqual(
      [1, 0, 26112].map(n => counted(n, 'module')),
      ['1 module', '0 modules', '26\u202f112 modules'],
    );
    assert.equal(whole(1234567), '1\u202f234\u202f567');
  });

  it('have the digits that matter', () => {
    assert.deepEqual([0, 0.01268, 0.00095, 0.00071].map(relative), ['0', '0.0127', '0.0009', '7.1e-4']);
    assert.deepEqual([0, 1.5, 0.0199, 0.00042].map(digits), ['0', '1.5', '0.020', '4.2e-4']);
  });
});
