import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseIndex } from '../../../src/formats/safetensors/shard-index.js';
import { planShards } from '../../../src/formats/safetensors/shards.js';
import { fuzzCases, refused } from '../refused.js';

const file = 'model.safetensors.index.json';
const parse = (text: unknown) => parseIndex(Buffer.from(typeof text === 'string' ? text : JSON.stringify(text)), file);

describe('parseIndex', () => {
  it('reads weight_map and nothing else', () => {
    const map = parse({ metadata: [[{}]], weight_map: { b: 'x.safetensors', a: 'x y' } });
    assert.deepEqual(
      [...map],
      [
        ['b', 'x.safetensors'],
        ['a', 'x y'],
      ],
    );
    assert.deepEqual([...parse('{"weight_map":{"__proto__":"x"}}')], [['__proto__', 'x']]);
  });

  it('reads what planShards writes', () => {
    const tensors = Array.from({ length: 30 }, (_, i) => ({ name: `t.${i}`, dtype: 'U8', shape: [i] }) as const);
    const { files, index } = planShards(tensors, 50);
    const expected = files.flatMap(({ name, tensors: members }) => members.map(member => [member.name, name] as const));
    assert.deepEqual(new Map(parse(index)), new Map(expected));
  });

  it('refuses file names that lead out of the folder', async () => {
    const outside = ['../a.safetensors', '/etc/passwd', 'x/a.safetensors', 'x\\a.safetensors', 'C:a', '..', '.'];
    for (const name of [...outside, '', 'a\0b', '\u001b[2J', 'x'.repeat(300), 7, null, ['a'], {}]) {
      const error = await refused(() => parse({ weight_map: { w: name } }));
      assert.match(error.message, /^the index places w in .*, which is not a file name$/);
      assert.deepEqual(error.place, { file, tensor: 'w' });
      assert.doesNotMatch(error.message, /[\0\u001b]/);
    }
  });

  it('refuses what is not an index', async () => {
    const cases: [text: unknown, message: RegExp][] = [
      ['{"weight_map":', /the index is not valid JSON: it ends too early/],
      ['', /the index is not valid JSON/],
      [[], /the index has no weight_map/],
      [{}, /the index has no weight_map/],
      [{ weight_map: [] }, /the index has no weight_map/],
      [{ weight_map: {} }, /the index lists no tensors/],
      ['{"weight_map":{},"weight_map":{"w":"a"}}', /has the key "weight_map" twice/],
    ];
    for (const [text, message] of cases) {
      const error = await refused(() => parse(text));
      assert.match(error.message, message);
      assert.equal(error.place.file, file);
      assert.ok(error.hint);
    }
    const twice = await refused(() => parse('{"weight_map":{"w":"a.safetensors","w":"b.safetensors"}}'));
    assert.equal(twice.message, 'the index has the key "w" twice');
    assert.equal(twice.place.tensor, 'w');
  });

  it('ends damaged indexes in a TensorpressError, and fast', async () => {
    const text = planShards(
      [
        { name: 'w', dtype: 'U8', shape: [2] },
        { name: 'b', dtype: 'U8', shape: [2] },
      ],
      2,
    ).index!;
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      '"',
      ',',
      ':',
      '\\',
      '\\u0000',
      '..',
      '/',
      '0',
      'null',
      '"w":"b.safetensors",',
      '\0',
      '\ud800',
      '"__proto__":',
    ];
    const edit = fc.record({ at: fc.nat(text.length), remove: fc.nat(8), insert: fc.constantFrom('', ...pieces) });
    let slowest = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async edits => {
        const mutated = edits.reduce(
          (old, { at, remove, insert }) => old.slice(0, at) + insert + old.slice(at + remove),
          text,
        );
        const began = performance.now();
        try {
          for (const name of parse(mutated).values()) assert.doesNotMatch(name, /[/\\:\0]|^\.\.?$/);
        } catch (error) {
          await refused(() => {
            throw error;
          });
        }
        slowest = Math.max(slowest, performance.now() - began);
      }),
      { numRuns: fuzzCases(3000) },
    );
    assert.ok(slowest < 1000, `${slowest} ms`);
  }).timeout(600_000);
});
