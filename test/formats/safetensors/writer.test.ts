import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as promises from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import type { WriteFs } from '../../../src/formats/files.js';
import { layoutFile, type Planned } from '../../../src/formats/safetensors/layout.js';
import { openSafetensors } from '../../../src/formats/safetensors/source.js';
import { openForWriting } from '../../../src/formats/safetensors/writer.js';
import { tempFolder } from '../../support/temp.js';
import { refused } from '../refused.js';
import { contents, fileWith } from './files.js';

const single = 'model.safetensors';
const tensors: Planned[] = [
  { name: 'a', dtype: 'U8', shape: [3] },
  { name: 'w', dtype: 'F32', shape: [4, 2] },
  { name: 'none', dtype: 'I32', shape: [0, 2] },
];
const layout = layoutFile(tensors);

describe('layoutFile', () => {
  it('gives the bytes of a header that safetensors would write', () => {
    const json =
      '{"__metadata__":{"format":"pt"},"s":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},' +
      '"b":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]},"c":{"dtype":"BF16","shape":[],"data_offsets":[18,20]},' +
      '"z":{"dtype":"I8","shape":[1,1],"data_offsets":[20,21]},"a":{"dtype":"U8","shape":[3],"data_offsets":[21,24]}}';
    const { header, offsets, bytes } = layoutFile([
      { name: 'a', dtype: 'U8', shape: [3] },
      { name: 'c', dtype: 'BF16', shape: [] },
      { name: 'z', dtype: 'I8', shape: [1, 1] },
      { name: 'b', dtype: 'BF16', shape: [1] },
      { name: 's', dtype: 'I64', shape: [2] },
    ]);
    const length = Math.ceil(json.length / 8) * 8;
    assert.equal(Buffer.from(header).readBigUInt64LE(), BigInt(length));
    assert.equal(Buffer.from(header.subarray(8)).toString(), json.padEnd(length));
    assert.deepEqual(offsets.get('a'), { offset: 8 + length + 21, bytes: 3 });
    assert.equal(bytes, 8 + length + 24);
  });

  it('refuses a name that stands twice', async () => {
    assert.equal((await refused(() => layoutFile([tensors[0]!, tensors[0]!]))).code, 'INTERNAL');
  });
});

describe('openForWriting', () => {
  it('writes in any order and piece by piece, and names the file when it is complete', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(32)), fc.infiniteStream(fc.nat(1000)), async (cuts, random) => {
        const path = join(tempFolder(), single);
        const writer = await openForWriting(path, layout);
        const pieces = [...layout.offsets].flatMap(([name, { bytes }]) => {
          const data = contents(
            tensors.findIndex(t => t.name === name),
            bytes,
          );
          const at = [...new Set([0, ...cuts.filter(cut => cut < bytes), bytes])].sort((x, y) => x - y);
          return at
            .slice(1)
            .map((end, i) => ({ name, offset: at[i]!, bytes: data.subarray(at[i], end), key: random.next().value }));
        });
        pieces.sort((x, y) => x.key - y.key);
        await Promise.all(pieces.map(({ name, offset, bytes }) => writer.write(name, offset, bytes)));
        assert.deepEqual(readdirSync(join(path, '..')), [`${single}.partial`]);
        await writer.finish();
        assert.deepEqual(readdirSync(join(path, '..')), [single]);
        assert.deepEqual(new Uint8Array(readFileSync(path)), fileWith(tensors));
      }),
      { numRuns: 30 },
    );
  });

  it('writes what openSafetensors reads', async () => {
    const folder = tempFolder();
    const writer = await openForWriting(join(folder, single), layout);
    await writer.write('w', 0, contents(7, 32));
    await writer.write('a', 0, contents(9, 3));
    await writer.finish();
    const source = await openSafetensors(folder);
    assert.deepEqual(await source.read('w'), contents(7, 32));
    assert.deepEqual(await source.read('a'), contents(9, 3));
  });

  it('replaces an older file and a left-over partial one', async () => {
    const path = join(tempFolder(), single);
    writeFileSync(path, 'old');
    writeFileSync(`${path}.partial`, 'x'.repeat(10_000));
    const writer = await openForWriting(path, layout);
    assert.equal(readFileSync(path, 'utf8'), 'old');
    await writer.write('w', 0, contents(1, 32));
    await writer.write('a', 0, contents(0, 3));
    await writer.finish();
    assert.deepEqual(new Uint8Array(readFileSync(path)), fileWith(tensors));
  });

  it('does not name a file that lacks bytes', async () => {
    const path = join(tempFolder(), single);
    const writer = await openForWriting(path, layout);
    await writer.write('w', 0, contents(1, 32));
    await writer.write('a', 0, contents(0, 2));
    const error = await refused(() => writer.finish());
    assert.equal(error.message, 'model.safetensors is not complete: 1 bytes of a were not written');
    assert.deepEqual(error.place, { file: single, tensor: 'a' });
    await writer.abort();
    assert.deepEqual(readdirSync(join(path, '..')), []);
  });

  it('writes nothing outside a tensor', async () => {
    const writer = await openForWriting(join(tempFolder(), single), layout);
    for (const [name, offset, length] of [
      ['v', 0, 1],
      ['a', 0, 4],
      ['a', 3, 1],
      ['a', -1, 1],
    ] as const) {
      assert.equal((await refused(() => writer.write(name, offset, new Uint8Array(length)))).code, 'INTERNAL');
    }
    await writer.abort();
  });

  it('leaves nothing after abort, whenever it comes', async () => {
    const path = join(tempFolder(), single);
    const writer = await openForWriting(path, layout);
    await writer.write('a', 0, contents(0, 3));
    await writer.abort();
    await writer.abort();
    assert.deepEqual(readdirSync(join(path, '..')), []);
  });

  it('goes on after short writes', async () => {
    const path = join(tempFolder(), single);
    const fs = withHandle(handle => ({
      write: (bytes: Uint8Array, offset: number, length: number, position: number) =>
        handle.write(bytes, offset, Math.min(5, length), position),
    }));
    const writer = await openForWriting(path, layout, { fs });
    await writer.write('w', 0, contents(1, 32));
    await writer.write('a', 0, contents(0, 3));
    await writer.finish();
    assert.deepEqual(new Uint8Array(readFileSync(path)), fileWith(tensors));
  });

  const failures: [code: string, message: RegExp][] = [
    ['ENOSPC', /^model\.safetensors cannot be written: the disk is full$/],
    ['EDQUOT', /quota is used up/],
    ['EROFS', /read-only/],
    ['EACCES', /not permitted/],
    ['EXYZ', /cannot be written: EXYZ/],
  ];
  for (const [code, message] of failures) {
    it(`says in a sentence what ${code} means`, async () => {
      const fail = (): never => {
        throw Object.assign(new Error(code), { code });
      };
      const path = join(tempFolder(), single);
      const check = async (work: () => Promise<unknown>): Promise<void> => {
        const error = await refused(work);
        assert.match(error.message, message);
        assert.equal(error.code, 'DISK');
        assert.deepEqual(error.place, { file: single });
        assert.ok(error.hint);
      };
      await check(() => openForWriting(path, layout, { fs: { ...promises, open: fail } }));
      await check(() => openForWriting(path, layout, { fs: withHandle(() => ({ truncate: fail })) }));
      assert.deepEqual(readdirSync(join(path, '..')), [], 'the partial file is removed');
      let full = false;
      const fs = withHandle(handle => ({
        write: (...args: [Uint8Array, number, number, number]) => (full ? fail() : handle.write(...args)),
        sync: () => (full ? fail() : handle.sync()),
      }));
      const writer = await openForWriting(path, layout, { fs });
      await writer.write('w', 0, contents(1, 32));
      full = true;
      await check(() => writer.write('a', 0, contents(0, 3)));
      full = false;
      await writer.write('a', 0, contents(0, 3));
      full = true;
      await check(() => writer.finish());
      await writer.abort();
      assert.deepEqual(readdirSync(join(path, '..')), []);
    });
  }

  it('says when the folder is missing, is a file, or holds a folder of that name', async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, `${single}.partial`));
    for (const [path, message] of [
      ['none/x', /its folder does not exist/],
      ['file/x', /its folder is a file/],
      [single, /a folder of that name/],
    ] as const) {
      assert.match((await refused(() => openForWriting(join(folder, path), layout))).message, message);
    }
  });
});

/** `node:fs/promises` whose opened handles have some methods replaced. */
function withHandle(replace: (handle: promises.FileHandle) => object): WriteFs {
  const open = async (path: string, flags: string): Promise<object> => {
    const handle = await promises.open(path, flags);
    const bound = {
      write: (...args: [Uint8Array, number, number, number]) => handle.write(...args),
      truncate: (size: number) => handle.truncate(size),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
    return { ...bound, ...replace(handle) };
  };
  return { ...promises, open } as unknown as WriteFs;
}
