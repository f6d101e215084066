import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseJsonStrict } from '../../src/formats/jsonText.js';
import { NumberLiteral, sortedJson } from '../../src/formats/sortedJson.js';

/** The same value with its keys in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}

describe('sortedJson', () => {
  it('sorts keys at every level, by code point, and ends without a newline', () => {
    const text = sortedJson({ b: [{ z: 1, a: null }], a: { Z: true, _: 'x', a: 2 }, gone: undefined });
    assert.equal(text, JSON.stringify({ a: { Z: true, _: 'x', a: 2 }, b: [{ a: null, z: 1 }] }, null, 2));
    assert.ok(text.indexOf('"a": null') < text.indexOf('"z": 1'));
    assert.ok(!text.endsWith('\n'));
  });

  it('is JSON.stringify of the sorted value', () => {
    const keys = fc.string().filter(key => !/^(0|[1-9]\d*)$/.test(key) && key !== '__proto__'); // objects sort such keys themselves
    const { value } = fc.letrec(tie => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        tie('list'),
        tie('map'),
      ),
      list: fc.array(tie('value'), { maxLength: 4 }),
      map: fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
    }));
    fc.assert(fc.property(value, v => assert.equal(sortedJson(v), JSON.stringify(sorted(v), null, 2))));
  });

  it('writes numbers as they were spelt, and what is not finite by the names that Python has', () => {
    const text =
      '{\n  "a": 30.0,\n  "b": 1e-05,\n  "c": [\n    -0.0,\n    12345678901234567890\n  ],\n  "d": -Infinity,\n  "e": NaN\n}';
    const read = parseJsonStrict(text, { file: 'x', python: true, number: digits => new NumberLiteral(digits) });
    assert.equal(sortedJson(read), text);
  });
});
