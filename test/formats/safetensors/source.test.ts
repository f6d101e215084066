import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import * as promises from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import type { ReadFs } from '../../../src/formats/files.js';
import { layoutFile, type Planned } from '../../../src/formats/safetensors/layout.js';
import { openSafetensors } from '../../../src/formats/safetensors/source.js';
import type { TensorpressError } from '../../../src/errors.js';
import { tempFolder } from '../../support/temp.js';
import { refused } from '../refused.js';
import { contents, fileWith, folderWith, writeShards } from './files.js';

const single = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';
const w: Planned = { name: 'w', dtype: 'F32', shape: [4, 3] };
const b: Planned = { name: 'b', dtype: 'BF16', shape: [5] };

async function refusedToOpen(path: string, message: RegExp): Promise<TensorpressError> {
  const error = await refused(async () => {
    await openSafetensors(path);
  });
  assert.match(error.message, message);
  assert.ok(error.hint && error.place.file);
  return error;
}

describe('openSafetensors', () => {
  it('reads whole tensors and rows of a single file', async () => {
    const folder = folderWith([b, w]);
    for (const path of [folder, join(folder, single)]) {
      const source = await openSafetensors(path);
      assert.deepEqual(
        [...source.tensors.values()],
        [
          { ...w, bytes: 48, file: single },
          { ...b, bytes: 10, file: single },
        ],
      );
      assert.deepEqual(await source.read('w'), contents(1, 48));
      assert.deepEqual(await source.read('w', { from: 1, to: 3 }), contents(1, 48).subarray(12, 36));
      assert.deepEqual(await source.read('b', { from: 5, to: 5 }), new Uint8Array(0));
      assert.equal((await source.read('b')).byteOffset, 0);
      const [file] = source.files;
      assert.equal(file!.path, single);
      assert.equal(file!.bytes, layoutFile([b, w]).bytes);
      assert.deepEqual(file!.header, layoutFile([b, w]).header);
      await source.close();
    }
  });

  it('reads scalars and tensors without elements', async () => {
    const source = await openSafetensors(
      folderWith([
        { name: 'scalar', dtype: 'I64', shape: [] },
        { name: 'none', dtype: 'F32', shape: [0, 3] },
        { name: 'thin', dtype: 'F32', shape: [3, 0] },
      ]),
    );
    assert.deepEqual(await source.read('scalar'), contents(0, 8));
    assert.deepEqual(await source.read('scalar', { from: 0, to: 1 }), contents(0, 8));
    assert.equal((await source.read('none', { from: 0, to: 0 })).length, 0);
    assert.equal((await source.read('thin', { from: 1, to: 2 })).length, 0);
  });

  it('reads shards through their index', async () => {
    const folder = writeShards({ 'b.safetensors': [w], 'a.safetensors': [b] });
    for (const path of [folder, join(folder, indexFile)]) {
      const source = await openSafetensors(path);
      assert.deepEqual(
        source.files.map(file => file.path),
        ['a.safetensors', 'b.safetensors'],
      );
      assert.deepEqual([...source.tensors.keys()], ['b', 'w']);
      assert.equal(source.tensors.get('w')!.file, 'b.safetensors');
      assert.deepEqual(await source.read('w'), contents(0, 48));
    }
  });

  it('prefers the single file where there is an index too, as transformers does', async () => {
    const folder = writeShards({ 'a.safetensors': [b] });
    writeFileSync(join(folder, single), fileWith([w]));
    assert.deepEqual([...(await openSafetensors(folder)).tensors.keys()], ['w']);
  });

  it('reads random shards back', async () => {
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc.string({ unit: fc.constantFrom('a', 'b', '.', '0') }),
        dtype: fc.constantFrom('F32', 'U8', 'BF16', 'I64'),
        shape: fc.array(fc.nat(4), { maxLength: 3 }),
      }),
      { selector: tensor => tensor.name, minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(tensors, fc.infiniteStream(fc.nat(2)), async (all, pick) => {
        const shards: Record<string, Planned[]> = {};
        for (const tensor of all) (shards[`model-${pick.next().value}.safetensors`] ??= []).push(tensor);
        const source = await openSafetensors(writeShards(shards));
        assert.equal(source.tensors.size, all.length);
        for (const [file, members] of Object.entries(shards)) {
          for (const [seed, { name, dtype, shape }] of members.entries()) {
            const info = source.tensors.get(name)!;
            assert.deepEqual([info.dtype, info.shape, info.file], [dtype, shape, file]);
            const whole = await source.read(name);
            assert.deepEqual(whole, contents(seed, info.bytes));
            const rows = shape[0] ?? 1;
            const half = rows >> 1;
            const parts = [
              await source.read(name, { from: 0, to: half }),
              await source.read(name, { from: half, to: rows }),
            ];
            assert.deepEqual(new Uint8Array(Buffer.concat(parts)), whole);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  describe('refuses', () => {
    it('a folder without weights, and says what it holds instead', async () => {
      assert.equal((await refusedToOpen(join(tempFolder(), 'none'), /none does not exist/)).code, 'MODEL');
      assert.match((await refusedToOpen(tempFolder(), /holds neither/)).hint!, /Hugging Face model/);
      const bin = tempFolder();
      writeFileSync(join(bin, 'pytorch_model.bin'), '');
      assert.match(
        (await refusedToOpen(bin, /holds neither/)).hint!,
        /pytorch_model\.bin: save the model as safetensors/,
      );
      const other = folderWith([w], 'weights.safetensors');
      assert.match((await refusedToOpen(other, /holds neither/)).hint!, /rename it to model\.safetensors/);
      writeFileSync(join(other, 'more.safetensors'), fileWith([b]));
      assert.match((await refusedToOpen(other, /holds neither/)).hint!, /not the index that lists them/);
    });

    it('a damaged index', async () => {
      await refusedToOpen(writeShards({ 'a.safetensors': [w] }, '{"weight_map":'), /the index is not valid JSON/);
      const error = await refusedToOpen(writeShards({}, { weight_map: { w: '../a.safetensors' } }), /not a file name/);
      assert.deepEqual(error.place, { file: indexFile, tensor: 'w' });
    });

    it('an index and shards that do not agree', async () => {
      const map = (weight_map: object): object => ({ weight_map });
      const both = { 'a.safetensors': [w], 'b.safetensors': [b] };
      const [inA, inB] = ['a.safetensors', 'b.safetensors'];
      let error = await refusedToOpen(
        writeShards(both, map({ w: inA, b: inB, x: inA })),
        /places x in a\.safetensors, but no file holds it/,
      );
      assert.deepEqual(error.place, { file: inA, tensor: 'x' });
      error = await refusedToOpen(
        writeShards(both, map({ w: inB, b: inB, x: inA })),
        /places w in b\.safetensors, but it stands in a/,
      );
      assert.deepEqual(error.place, { file: inB, tensor: 'w' });
      error = await refusedToOpen(
        writeShards({ [inA]: [w, b] }, map({ w: inA })),
        /b of a\.safetensors is missing from model\.safetensors\.index/,
      );
      assert.deepEqual(error.place, { file: inA, tensor: 'b' });
      error = await refusedToOpen(
        writeShards({ [inA]: [w], [inB]: [w, b] }, map({ w: inA, b: inB })),
        /w stands in a\.safetensors and in b/,
      );
      assert.deepEqual(error.place, { file: inB, tensor: 'w' });
      error = await refusedToOpen(
        writeShards({ [inA]: [w] }, map({ w: inA, b: inB })),
        /b\.safetensors does not exist/,
      );
      assert.deepEqual(error.place, { file: inB });
    });

    it('folders, pipes and devices in place of files', async function () {
      if (process.platform === 'win32') this.skip();
      const folder = tempFolder();
      mkdirSync(join(folder, single));
      await refusedToOpen(folder, /model\.safetensors is a folder, not a file/);
      const piped = tempFolder();
      execFileSync('mkfifo', [join(piped, single)]);
      await refusedToOpen(piped, /model\.safetensors is a device or a pipe, not a file/);
      const device = tempFolder();
      symlinkSync('/dev/zero', join(device, single));
      await refusedToOpen(device, /is a device or a pipe/);
    });

    it('files that a header cannot describe', async () => {
      const folder = tempFolder();
      writeFileSync(join(folder, single), '');
      await refusedToOpen(folder, /has 0 bytes, too few/);
      writeFileSync(join(folder, single), 'version https://git-lfs.github.com/spec/v1\n');
      await refusedToOpen(folder, /Git LFS pointer/);
      writeFileSync(join(folder, single), fileWith([w]).subarray(0, -1));
      const error = await refusedToOpen(folder, /w ends at byte \d+ of a file that has \d+/);
      assert.deepEqual(error.place, { file: single, tensor: 'w' });
    });

    it('what no memory holds', async () => {
      const folder = tempFolder();
      const layout = layoutFile([{ name: 'huge', dtype: 'U8', shape: [2 ** 20, 2 ** 20] }]);
      writeFileSync(join(folder, single), layout.header);
      truncateSync(join(folder, single), layout.bytes); // sparse: a hole of a terabyte
      const source = await openSafetensors(folder);
      assert.equal((await source.read('huge', { from: 5, to: 6 })).length, 2 ** 20);
      const error = await refused(() => source.read('huge'));
      assert.match(error.message, /^1099511627776 bytes of huge do not fit in memory/);
      assert.deepEqual(error.place, { file: single, tensor: 'huge' });
      const index = writeShards({ 'a.safetensors': [w] });
      truncateSync(join(index, indexFile), 100_000_001);
      await refusedToOpen(index, /the index has 100000001 bytes/);
    });

    it('what may not be read', async () => {
      const open = (): never => {
        throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
      };
      const fs = { ...promises, open } as ReadFs;
      const error = await refused(() => openSafetensors(folderWith([w]), { fs }));
      assert.equal(error.message, 'model.safetensors may not be read');
      assert.match(error.hint!, /permissions/);
    });

    it('tensors and rows that do not exist', async () => {
      const source = await openSafetensors(folderWith([w]));
      assert.equal((await refused(() => source.read('v'))).message, 'the model has no tensor v');
      for (const rows of [
        { from: -1, to: 1 },
        { from: 2, to: 1 },
        { from: 0, to: 5 },
        { from: NaN, to: 1 },
      ]) {
        assert.equal((await refused(() => source.read('w', rows))).code, 'INTERNAL');
      }
    });
  });

  describe('symbolic links', () => {
    it('are followed to files, wherever these are', async () => {
      const blobs = folderWith([w], 'blob');
      const folder = tempFolder();
      symlinkSync(join(blobs, 'blob'), join(folder, single));
      assert.deepEqual(await (await openSafetensors(folder)).read('w'), contents(0, 48));
    });

    it('are refused when they dangle, turn in a circle or lead to a folder', async () => {
      const folder = tempFolder();
      symlinkSync('../blobs/abc', join(folder, single));
      const dangling = await refusedToOpen(folder, /is a symbolic link to \.\.\/blobs\/abc, which does not exist/);
      assert.match(dangling.hint!, /incomplete/);
      rmSync(join(folder, single));
      symlinkSync(single, join(folder, single));
      await refusedToOpen(folder, /leads back to itself/);
      rmSync(join(folder, single));
      symlinkSync(tempFolder(), join(folder, single));
      await refusedToOpen(folder, /is a folder/);
    });
  });
});
