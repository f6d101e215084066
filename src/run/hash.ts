import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { diskError, makeFolders, readError, readFully } from '../formats/files.js';

/** A folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  await makeFolders(path).catch((error: unknown) => Promise.reject(diskError(error, path)));
}

/** A path as records hold it: relative to the run folder, with slashes on every system. */
export function pathIn(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/');
}

/** SHA-256 in hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

export interface FileHash {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Bytes that are read at a time. */
const PIECE = 1 << 21;

/**
 * SHA-256 of a file; `path` is written as `as`. While a piece is hashed, the next one is read.
 * @throws TensorpressError TENSOR when it cannot be read
 */
export async function hashFile(path: string, as: string): Promise<FileHash> {
  const hash = createHash('sha256');
  try {
    const handle = await open(path, 'r');
    try {
      let [here, there] = [new Uint8Array(PIECE), new Uint8Array(PIECE)];
      let bytes = 0;
      for (let length = await readFully(handle, here, 0); length > 0;) {
        bytes += length;
        const next = readFully(handle, there, bytes);
        hash.update(here.subarray(0, length));
        length = await next;
        [here, there] = [there, here];
      }
      return { path: as, sha256: hash.digest('hex'), bytes };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw readError(error, as);
  }
}
