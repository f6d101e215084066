import assert from 'node:assert/strict';
import fc from 'fast-check';
import { byteLength, type Planned } from '../../../src/formats/safetensors/layout.js';
import { parseSize, planShards } from '../../../src/formats/safetensors/shards.js';
import { refused } from '../refused.js';

const tensor = (name: string, bytes: number): Planned => ({ name, dtype: 'U8', shape: [bytes] });

describe('planShards', () => {
  it('keeps everything in model.safetensors while it fits', () => {
    const tensors = [tensor('b', 6), tensor('a', 4)];
    assert.deepEqual(planShards(tensors, 10), {
      files: [{ name: 'model.safetensors', tensors }],
      index: null,
    });
    assert.equal(planShards([tensor('a', 11)], 10).files.length, 1);
    assert.equal(planShards([], 10).files.length, 1);
  });

  it('fills files in the order given and writes the index of transformers', () => {
    const [z, a, big, c] = [tensor('z', 6), tensor('a', 4), tensor('big', 11), tensor('c', 1)] as const;
    const { files, index } = planShards([z, a, big, c], 10, { parameters: 44 });
    assert.deepEqual(files, [
      { name: 'model-00001-of-00003.safetensors', tensors: [z, a] },
      { name: 'model-00002-of-00003.safetensors', tensors: [big] },
      { name: 'model-00003-of-00003.safetensors', tensors: [c] },
    ]);
    assert.equal(
      index,
      `{
  "metadata": {
    "total_parameters": 44,
    "total_size": 22
  },
  "weight_map": {
    "a": "model-00001-of-00003.safetensors",
    "big": "model-00002-of-00003.safetensors",
    "c": "model-00003-of-00003.safetensors",
    "z": "model-00001-of-00003.safetensors"
  }
}
`,
    );
    assert.deepEqual(Object.keys(JSON.parse(planShards([z, big], 10).index!).metadata), ['total_size']);
  });

  it('loses and repeats nothing and keeps to the limit', () => {
    const tensors = fc.array(fc.nat(20), { minLength: 1 }).map(sizes => sizes.map((size, i) => tensor(`t${i}`, size)));
    fc.assert(
      fc.property(tensors, fc.integer({ min: 1, max: 40 }), (all, limit) => {
        const { files, index } = planShards(all, limit);
        assert.deepEqual(
          files.flatMap(file => file.tensors),
          all,
        );
        for (const { tensors: members } of files) {
          const large = members.filter(member => byteLength(member) > 0);
          assert.ok(
            members.length > 0 && (large.length === 1 || members.reduce((sum, t) => sum + byteLength(t), 0) <= limit),
          );
        }
        const map = index === null ? undefined : JSON.parse(index).weight_map;
        for (const { name, tensors: members } of map ? files : [])
          for (const t of members) assert.equal(map[t.name], name);
      }),
    );
  });
});

describe('parseSize', () => {
  it('reads numbers and units', () => {
    const sizes: [string | number, number][] = [
      ['5GB', 5e9],
      ['500MB', 5e8],
      ['500mb', 5e8],
      [' 1.5 GB ', 1.5e9],
      ['2GiB', 2 ** 31],
      ['1MiB', 2 ** 20],
      ['10KB', 1e4],
      ['20kB', 2e4],
      ['20kib', 20480],
      ['3TB', 3e12],
      ['7B', 7],
      ['123', 123],
      [5e9, 5e9],
    ];
    for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, String(text));
  });

  it('refuses everything else in a sentence', async () => {
    for (const value of [
      '',
      'GB',
      '5 apples',
      '-5GB',
      '5G',
      '5iB',
      '1e3',
      0,
      -1,
      0.5,
      '0GB',
      NaN,
      Infinity,
      '99999999TB',
      '5GBGB',
      '0x10',
    ]) {
      const error = await refused(() => parseSize(value));
      assert.equal(error.code, 'ARGUMENT');
      assert.equal(error.message, `${JSON.stringify(value)} is not a size`);
      assert.match(error.hint!, /5GB/);
    }
  });
});
