import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import * as promises from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadFs } from '../../../src/formats/files.js';
import type { Planned } from '../../../src/formats/safetensors/layout.js';
import { openSafetensors } from '../../../src/formats/safetensors/source.js';
import { refused } from '../refused.js';
import { contents, fileWith, folderWith, writeShards } from './files.js';

const single = 'model.safetensors';
const w: Planned = { name: 'w', dtype: 'F32', shape: [4, 3] };
const b: Planned = { name: 'b', dtype: 'BF16', shape: [5] };

describe('openSafetensors during a run', () => {
  const changes: [what: string, change: (file: string) => void, message: RegExp][] = [
    ['cut off', file => truncateSync(file, 100), /model\.safetensors has changed since it was opened; w was not read/],
    ['extended', file => appendFileSync(file, 'x'), /has changed/],
    ['touched', file => utimesSync(file, 1, 1), /has changed/],
    [
      'replaced',
      file => (
        writeFileSync(`${file}.new`, fileWith([{ ...w, shape: [3, 4] }])),
        utimesSync(`${file}.new`, 1, 1),
        renameSync(`${file}.new`, file)
      ),
      /has changed/,
    ],
    ['removed', file => rmSync(file), /model\.safetensors does not exist/],
  ];
  for (const [what, change, message] of changes) {
    it(`notices a file that is ${what}`, async () => {
      const folder = folderWith([w]);
      const source = await openSafetensors(folder);
      change(join(folder, single));
      const error = await refused(() => source.read('w'));
      assert.match(error.message, message);
      assert.deepEqual(error.place, { file: single, tensor: 'w' });
      assert.equal(error.code, 'TENSOR');
    });
  }

  it('goes on after short reads and notices an early end', async () => {
    const folder = folderWith([w]);
    let limit = 5;
    const fs = { ...promises, open: slowly(() => limit) } as ReadFs;
    const source = await openSafetensors(folder, { fs });
    assert.deepEqual(await source.read('w'), contents(0, 48));
    limit = 0;
    assert.match((await refused(() => source.read('w'))).message, /has changed since it was opened/);
  });

  it('leaves no handle open', async function () {
    if (process.platform !== 'linux') this.skip();
    const source = await openSafetensors(writeShards({ 'a.safetensors': [w], 'b.safetensors': [b] }));
    await Promise.all(Array.from({ length: 50 }, (_, i) => source.read(i % 2 ? 'w' : 'b')));
    const handles = await promises.readdir('/proc/self/fd');
    const targets = await Promise.all(handles.map(fd => promises.readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    assert.deepEqual(
      targets.filter(target => target.endsWith('.safetensors')),
      [],
    );
  });
});

/** `open` whose handles read at most `limit()` bytes at once. */
function slowly(limit: () => number): unknown {
  return async (path: string, flags: string) => {
    const handle = await promises.open(path, flags);
    return {
      stat: () => handle.stat(),
      close: () => handle.close(),
      read: (bytes: Uint8Array, offset: number, length: number, position: number) =>
        limit() === 0 ? { bytesRead: 0 } : handle.read(bytes, offset, Math.min(limit(), length), position),
    };
  };
}
