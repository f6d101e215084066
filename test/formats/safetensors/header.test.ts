import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DTYPE_BYTES, type DType } from '../../../src/numerics/dtypes.js';
import { parseHeader } from '../../../src/formats/safetensors/header.js';
import { layoutFile } from '../../../src/formats/safetensors/layout.js';
import { goldenFile, goldenList } from '../../support/golden.js';
import { fuzzCases, refused } from '../refused.js';
import { fileOf } from './files.js';

const file = 'model.safetensors';
const entry = (dtype: unknown, shape: unknown, data_offsets: unknown): unknown => ({ dtype, shape, data_offsets });
const parse = (header: unknown, data = 0) => {
  const bytes = fileOf(typeof header === 'string' ? header : JSON.stringify(header), data);
  return parseHeader(bytes.subarray(0, bytes.length - data), bytes.length, file);
};

const planned = fc.uniqueArray(
  fc.record({
    name: fc.oneof(
      fc.string({ unit: 'grapheme-ascii' }),
      fc.constantFrom('__proto__', 'constructor', 'toString', '1', 'größe', '層'),
    ),
    dtype: fc.constantFrom(...(Object.keys(DTYPE_BYTES) as DType[])),
    shape: fc.array(fc.nat(5), { maxLength: 4 }),
  }),
  { selector: tensor => tensor.name, maxLength: 12 },
);

describe('safetensors header', () => {
  it('reads what the writer lays out', () => {
    fc.assert(
      fc.property(planned, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        const layout = layoutFile(tensors, metadata);
        const header = parseHeader(layout.header, layout.bytes, file);
        assert.equal(layout.header.length % 8, 0);
        assert.deepEqual(new Map(header.metadata), new Map(Object.entries({ format: 'pt', ...metadata })));
        assert.equal(header.tensors.size, tensors.length);
        for (const { name, dtype, shape } of tensors) {
          const { offset, bytes } = layout.offsets.get(name)!;
          assert.deepEqual(header.tensors.get(name), { name, dtype, shape, begin: offset, end: offset + bytes });
          assert.equal(offset % DTYPE_BYTES[dtype], 0, 'aligned to its element');
        }
      }),
    );
  });

  it('accepts scalars, tensors without elements, unknown keys and any order', () => {
    const header = parse(
      {
        b: { ...(entry('F32', [], [2, 6]) as object), note: [1] },
        e: entry('I64', [3, 0, 9007199254740991], [2, 2]),
        a: entry('BF16', [1, 1], [0, 2]),
      },
      6,
    );
    assert.deepEqual([...header.tensors.keys()], ['a', 'e', 'b']);
    assert.equal(header.tensors.get('b')!.end - header.tensors.get('b')!.begin, 4);
    assert.equal(parse('{}').tensors.size, 0);
  });

  const huge = 9007199254740991;
  const cases: [problem: string, header: unknown, data: number, message: RegExp][] = [
    ['no object', '[]', 0, /not a JSON object/],
    ['no JSON', '{"w": ', 0, /header is not valid JSON: it ends too early/],
    ['a duplicate name', '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{}}', 1, /has the key "w" twice/],
    [
      'a duplicate field',
      '{"w":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}',
      1,
      /has the key "dtype" twice/,
    ],
    ['deep nesting', `{"w":{"dtype":"U8","shape":[[0]]}}`, 1, /nested more than 3 deep/],
    ['an entry that is no object', { w: 1 }, 0, /w has an entry in the header that is not an object/],
    ['an entry that is null', { w: null }, 0, /not an object/],
    ['no dtype', { w: { shape: [1], data_offsets: [0, 1] } }, 1, /w has no dtype/],
    ['an unknown dtype', { w: entry('F128', [1], [0, 16]) }, 16, /w has the unknown dtype "F128"/],
    ['an inherited dtype', { w: entry('constructor', [1], [0, 1]) }, 1, /unknown dtype "constructor"/],
    ['a 4-bit dtype', { w: entry('F4', [2], [0, 1]) }, 1, /w has dtype F4, elements smaller than a byte/],
    ['a 6-bit dtype', { w: entry('F6_E2M3', [4], [0, 3]) }, 3, /F6_E2M3, elements smaller than a byte/],
    ['no shape', { w: { dtype: 'U8', data_offsets: [0, 1] } }, 1, /w has a shape that is not a list/],
    ['a negative size', { w: entry('U8', [-1], [0, 1]) }, 1, /w has a shape/],
    ['a negative zero', '{"w":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}', 0, /w has a shape/],
    ['a fraction', { w: entry('U8', [1.5], [0, 1]) }, 1, /w has a shape/],
    ['a size as text', { w: entry('U8', ['1'], [0, 1]) }, 1, /w has a shape/],
    ['an inexact size', '{"w":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', 1, /w has a shape/],
    ['a size overflow', { w: entry('U8', [huge, 2], [0, 1]) }, 1, /more bytes than any file can hold/],
    ['a byte overflow', { w: entry('F64', [huge], [0, 1]) }, 1, /more bytes than any file can hold/],
    ['an infinite product', { w: entry('U8', Array(30).fill(huge), [0, 1]) }, 1, /more bytes than any file can hold/],
    ['no offsets', { w: { dtype: 'U8', shape: [1] } }, 1, /data_offsets that are not two integers/],
    ['one offset', { w: entry('U8', [1], [0]) }, 1, /data_offsets that are not two integers/],
    ['fractional offsets', { w: entry('U8', [1], [0.5, 1.5]) }, 1, /data_offsets that are not two integers/],
    ['negative offsets', { w: entry('U8', [1], [-1, 0]) }, 1, /data_offsets that are not two integers/],
    ['reversed offsets', { w: entry('U8', [1], [1, 0]) }, 1, /run backwards, from 1 to 0/],
    [
      'a wrong size',
      { w: entry('F32', [2, 2], [0, 8]) },
      8,
      /w is F32 \[2, 2\] and needs 16 bytes, but its data_offsets give 8/,
    ],
    ['too little data', { w: entry('U8', [9], [0, 9]) }, 8, /w ends at byte \d+ of a file that has \d+/],
    ['an overlap', { a: entry('U8', [4], [0, 4]), w: entry('U8', [4], [2, 6]) }, 6, /w overlaps a/],
    ['the same place twice', { a: entry('U8', [4], [0, 4]), w: entry('U8', [4], [0, 4]) }, 4, /w overlaps a/],
    ['a gap', { a: entry('U8', [1], [0, 1]), w: entry('U8', [1], [3, 4]) }, 4, /w starts 2 bytes after the end of a/],
    ['a gap at the start', { w: entry('U8', [1], [1, 2]) }, 2, /w starts 1 bytes after the end of the header/],
    ['data after the end', { a: entry('U8', [1], [0, 1]) }, 3, /2 bytes after a belong to no tensor/],
    ['data without tensors', {}, 1, /1 bytes after the header belong to no tensor/],
    ['metadata that is no object', { __metadata__: 'pt' }, 0, /__metadata__ of the header does not map strings/],
    ['metadata that is no text', { __metadata__: { format: 1 } }, 0, /__metadata__ of the header does not map strings/],
    [
      'a name with a control character',
      { 'a\u001b[31m': entry('U8', [1], [0, 1]) },
      1,
      /a\\u\{1b\}\[31m is a tensor name/,
    ],
    [
      'a name that is no text',
      '{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      1,
      /\\u\{d800\} is a tensor name/,
    ],
  ];
  for (const [problem, header, data, message] of cases) {
    it(`refuses ${problem}`, async () => {
      const error = await refused(() => parse(header, data));
      assert.match(error.message, message);
      assert.equal(error.code, 'TENSOR');
      assert.equal(error.place.file, file);
      assert.ok(error.hint);
      if (/\bw\b/.test(error.message)) assert.equal(error.place.tensor?.at(0), 'w');
    });
  }

  it('refuses impossible lengths', async () => {
    const length = (n: bigint, size = 100): Promise<Error> => {
      const bytes = new Uint8Array(Math.min(size, 100));
      new DataView(bytes.buffer).setBigUint64(0, n, true);
      return refused(() => parseHeader(bytes, size, file));
    };
    assert.match((await length(2n ** 64n - 1n)).message, /claims \d+ bytes, more than the 100000000/);
    assert.match((await length(100_000_001n, 2e8)).message, /more than the 100000000/);
    assert.match((await length(93n)).message, /claims 93 bytes, but the file ends after 100/);
    assert.match((await length(0n, 8)).message, /ends too early/);
    assert.match((await refused(() => parseHeader(new Uint8Array(7), 7, file))).message, /has 7 bytes, too few/);
    assert.match((await refused(() => parseHeader(fileOf('{}').subarray(0, 9), 10, file))).message, /./);
  });

  it('recognises a Git LFS pointer', async () => {
    const pointer = Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    const error = await refused(() => parseHeader(pointer, pointer.length, file));
    assert.match(error.message, /Git LFS pointer/);
    assert.match(error.hint!, /git lfs pull/);
  });

  it('cuts long names in messages', async () => {
    const error = await refused(() => parse({ ['x'.repeat(1_000_000)]: 1 }));
    assert.ok(error.message.length < 300 && error.place.tensor!.length < 200);
  });

  it('ends damaged headers in a TensorpressError, and fast', async () => {
    const layout = layoutFile([
      { name: 'model.embed_tokens.weight', dtype: 'BF16', shape: [16, 8] },
      { name: 'model.layers.0.mlp.up_proj.weight_packed', dtype: 'I32', shape: [4, 1] },
      { name: 'model.layers.0.mlp.up_proj.weight_scale', dtype: 'F16', shape: [4, 1] },
      { name: 'empty', dtype: 'U8', shape: [0] },
    ]);
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      '"',
      ',',
      ':',
      '-',
      '0',
      '9',
      '.',
      'e',
      '\\u0000',
      'null',
      '1e308',
      '"__proto__"',
      '\u0000',
      '\u00ff',
    ];
    const edit = fc.record({
      at: fc.nat(layout.header.length),
      remove: fc.nat(12),
      insert: fc.oneof(
        fc.constantFrom(...pieces).map(text => Buffer.from(text, 'latin1')),
        fc.uint8Array({ maxLength: 4 }),
      ),
      relength: fc.boolean(),
    });
    let slowest = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async edits => {
        let bytes: Uint8Array = layout.header;
        for (const { at, remove, insert, relength } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
          if (relength && bytes.length >= 8) bytes = fileOf(bytes.subarray(8));
        }
        const began = performance.now();
        try {
          const { tensors } = parseHeader(bytes, bytes.length + layout.bytes - layout.header.length, file);
          for (const { begin, end } of tensors.values()) assert.ok(8 <= begin && begin <= end);
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

  const checkpoints = goldenList('compressed-tensors/checkpoints');
  it('golden: lays out every reference checkpoint with the bytes of its header', function () {
    if (checkpoints.length === 0) this.skip();
    for (const checkpoint of checkpoints) {
      const bytes = goldenFile(`compressed-tensors/checkpoints/${checkpoint}/${file}`)!;
      const length = 8 + Number(bytes.readBigUInt64LE());
      const { tensors } = parseHeader(bytes.subarray(0, length), bytes.length, file);
      assert.ok(
        Buffer.from(layoutFile([...tensors.values()].reverse()).header).equals(bytes.subarray(0, length)),
        checkpoint,
      );
    }
  });
});
