import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { diskError, makeFolders, readError } from '../formats/files.js';

/** A folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  await makeFolders(path).catch((error: unknown) => Promise.reject(diskError(error, path)));
}

/** A path as records hold it: relative to the run folder, with slashes on every system. */
export function pathIn(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/');
}

export interface FileHash {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * SHA-256 of a file; `path` is written as `as`.
 * @throws TensorpressError TENSOR when it cannot be read
 */
export async function hashFile(path: string, as: string): Promise<FileHash> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
    return { path: as, sha256: hash.digest('hex'), bytes: (await stat(path)).size };
  } catch (error) {
    throw readError(error, as);
  }
}
