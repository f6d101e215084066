import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseJsonStrict } from '../../src/formats/jsonText.js';
import { refused } from './refused.js';

const file = 'config.json';
const parse = (text: string | Uint8Array, options = {}): unknown => parseJsonStrict(text, { file, ...options });

describe('parseJsonStrict', () => {
  it('gives what JSON.parse gives for every document', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        assert.deepEqual(parse(spaced), JSON.parse(spaced));
        assert.deepEqual(parse(new TextEncoder().encode(spaced)), JSON.parse(spaced));
      }),
    );
  });

  it('refuses exactly the texts that JSON.parse refuses', async () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b',
      '1',
      '-0',
      '01',
      '1.',
      '.5',
      '1e5',
      '1e',
      '+1',
      'true',
      'nul',
      ' ',
      '\n',
    ];
    const odd = [
      '"\\x"',
      '"\\u12"',
      '"\\',
      '"\t"',
      '\u00a0',
      '\ufeff',
      "'a'",
      '//',
      'NaN',
      '"\\ud800"',
      '',
      '-',
      '2-1',
    ];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...pieces, ...odd), { maxLength: 7 }), async parts => {
        const text = parts.join('');
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          const error = await refused(() => parse(text));
          assert.match(error.message, /^the file is not valid JSON: /);
          return;
        }
        assert.deepEqual(parse(text), expected);
      }),
      { numRuns: 3000 },
    );
  });

  it('refuses a key that stands twice, and says where', async () => {
    const error = await refused(() => parse('{"a": {"b": 1},\n "c": [{"d": 1, "\\u0064": 2}]}'));
    assert.equal(error.message, 'the file has the key "d" twice');
    assert.deepEqual(error.place, { file, line: 2, column: 17 });
    assert.ok(error.hint);
  });

  it('counts lines and columns from 1', async () => {
    assert.deepEqual((await refused(() => parse('{\n  "a": 1,\n  b: 2\n}'))).place, { file, line: 3, column: 3 });
    assert.deepEqual((await refused(() => parse('x'))).place, { file, line: 1, column: 1 });
  });

  it('keeps __proto__ and constructor as plain keys', () => {
    const value = parse('{"__proto__": {"polluted": 1}, "constructor": 2}') as object;
    assert.deepEqual(Object.entries(value), [
      ['__proto__', { polluted: 1 }],
      ['constructor', 2],
    ]);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });

  it('refuses invalid UTF-8 and a byte order mark', async () => {
    assert.match((await refused(() => parse(Uint8Array.of(0x22, 0xc3, 0x28, 0x22)))).message, /UTF-8/);
    assert.match((await refused(() => parse(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)))).message, /not valid JSON/);
  });

  it('has limits for depth, bytes, values and digits', async () => {
    assert.equal(JSON.stringify(parse('['.repeat(100) + ']'.repeat(100))).length, 200);
    assert.match((await refused(() => parse('['.repeat(101)))).message, /nested more than 100 deep/);
    assert.match((await refused(() => parse('[{"a":[]}]', { maxDepth: 2 }))).message, /nested more than 2 deep/);
    assert.match((await refused(() => parse('[1, 2]', { maxBytes: 5 }))).message, /6 bytes, the limit is 5/);
    assert.match((await refused(() => parse('[0, 1, 2]', { maxValues: 3 }))).message, /more than 3 values/);
    assert.match((await refused(() => parse('1'.repeat(401)))).message, /a number too long/);
    assert.equal(parse('1'.repeat(400)), Infinity);
  });

  it('is linear on what makes careless parsers slow', async () => {
    const began = performance.now();
    const quotes = '\\"'.repeat(1_000_000);
    assert.equal(parse(`"${quotes}"`), '"'.repeat(1_000_000));
    for (const text of [
      `"${quotes}`,
      `[${'"a",'.repeat(300_000)}`,
      ' '.repeat(2_000_000),
      '\n'.repeat(2_000_000),
      '['.repeat(2_000_000),
    ]) {
      await refused(() => parse(text));
    }
    const keys = Array.from({ length: 200_000 }, (_, i) => `"k${i}":0`).join(',');
    await refused(() => parse(`{${keys},"k0":1}`));
    assert.ok(performance.now() - began < 5000);
  });

  it('reads the numbers that Python writes only when asked to', async () => {
    assert.deepEqual(parse('[Infinity, -Infinity, NaN]', { python: true }), [Infinity, -Infinity, NaN]);
    assert.match((await refused(() => parse('[Infinity]'))).message, /expected a value/);
  });

  it('adds the meaning of keys to the place', async () => {
    const locate = ([name]: readonly string[]) => (name === undefined ? {} : { tensor: name });
    const error = await refused(() => parse('{"a": 1, "w": {"x": }}', { locate, code: 'TENSOR', what: 'the header' }));
    assert.equal(error.code, 'TENSOR');
    assert.equal(error.message, 'the header is not valid JSON: expected a value');
    assert.deepEqual(error.place, { file, tensor: 'w', line: 1, column: 21 });
  });
});
