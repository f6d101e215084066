import type { Stats } from 'node:fs';
import * as promises from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TensorpressError } from '../errors.js';

/** What reading needs of a file system; `node:fs/promises` is one. */
export type ReadFs = Pick<typeof promises, 'open' | 'readdir' | 'readlink' | 'stat'>;
/** What writing needs of it. */
export type WriteFs = Pick<typeof promises, 'open' | 'rename' | 'rm'>;

/** `code` of a failed system call: `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Follows symbolic links (the Hugging Face cache is made of them) and accepts nothing but a regular file at their end.
 * @param shown the path as messages show it
 * @throws TensorpressError TENSOR
 */
export async function statFile(path: string, shown: string, fs: ReadFs): Promise<Stats> {
  let stats: Stats;
  try {
    stats = await fs.stat(path);
  } catch (error) {
    const target = errnoOf(error) === 'ENOENT' ? await fs.readlink(path).catch(() => undefined) : undefined;
    if (target === undefined) throw readError(error, shown);
    throw new TensorpressError('TENSOR', `${shown} is a symbolic link to ${target}, which does not exist`, {
      place: { file: shown },
      hint: 'the download is incomplete: fetch the model again',
    });
  }
  if (!stats.isFile()) {
    throw new TensorpressError(
      'TENSOR',
      `${shown} is ${stats.isDirectory() ? 'a folder' : 'a device or a pipe'}, not a file`,
      {
        place: { file: shown },
        hint: 'only regular files, or symbolic links to them, are read',
      },
    );
  }
  return stats;
}

/**
 * Fills `bytes` from `position` on, however little each call to the system gives.
 * @returns bytes read: fewer than asked for when the file ends before
 */
export async function readFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  const atOnce = 1 << 30; // Node takes no more than 2^31 - 1 per call
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(atOnce, bytes.length - done);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/**
 * Writes all of `bytes`, however little each call takes.
 * @param shown the file as messages show it
 * @throws TensorpressError DISK when the system takes no more; else what it says
 */
export async function writeFully(
  handle: Pick<FileHandle, 'write'>,
  bytes: Uint8Array,
  position: number,
  shown: string,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const length = Math.min(1 << 30, bytes.length - done);
    const { bytesWritten } = await handle.write(bytes, done, length, position + done);
    if (bytesWritten === 0) throw diskError('the system takes no more bytes', shown);
    done += bytesWritten;
  }
}

/**
 * Opens a file to read for as long as `work` takes.
 * @throws TensorpressError TENSOR, naming the file as `file` and what was wanted of it
 */
export async function withFile<T>(
  path: string,
  { file, tensor, fs }: { readonly file: string; readonly tensor?: string; readonly fs: ReadFs },
  work: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  try {
    const handle = await fs.open(path, 'r');
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw error instanceof TensorpressError ? error : readError(error, file, tensor);
  }
}

const READ_FAILURES: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  ENOENT: ['does not exist', 'fetch the model again, or check the path'],
  EACCES: ['may not be read', 'check the permissions of the file and its folders'],
  EPERM: ['may not be read', 'check the permissions of the file and its folders'],
  EIO: ['cannot be read: the disk reports an error', 'check the disk, then fetch the model again'],
  ELOOP: ['is a symbolic link that leads back to itself', 'fetch the model again'],
  EMFILE: ['cannot be opened: too many files are open', 'raise the limit of open files (`ulimit -n`)'],
};

/** A failed read as a sentence. */
export function readError(error: unknown, file: string, tensor?: string): TensorpressError {
  const code = errnoOf(error);
  const [problem, hint] = READ_FAILURES[code ?? ''] ?? [
    `cannot be read (${code ?? String(error)})`,
    'check the file and its disk',
  ];
  const place = tensor === undefined ? { file } : { file, tensor };
  return new TensorpressError('TENSOR', `${file} ${problem}`, { place, hint, cause: error });
}

const WRITE_FAILURES: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  ENOSPC: ['the disk is full', 'free some space or choose another folder'],
  EDQUOT: ['the disk quota is used up', 'free some space or choose another folder'],
  EFBIG: ['the file system holds no file of this size', 'choose a smaller max_shard_size or another disk'],
  EACCES: ['writing is not permitted', 'check the permissions of the folder or choose another one'],
  EPERM: ['writing is not permitted', 'check the permissions of the folder or choose another one'],
  EROFS: ['the file system is read-only', 'choose another folder'],
  ENOENT: ['its folder does not exist', 'create the folder first'],
  ENOTDIR: ['its folder is a file', 'choose another folder'],
  EISDIR: ['a folder of that name is in the way', 'move it or choose another folder'],
  EEXIST: ['a file of that name is in the way', 'move it or choose another folder'],
  ENAMETOOLONG: ['its name is too long for this file system', 'choose a shorter name'],
  EIO: ['the disk reports an error', 'check the disk or choose another folder'],
};

/** A failed write as a sentence. */
export function diskError(error: unknown, file: string): TensorpressError {
  const code = errnoOf(error);
  const [problem, hint] = WRITE_FAILURES[code ?? ''] ?? [code ?? String(error), 'check the folder and its disk'];
  return new TensorpressError('DISK', `${file} cannot be written: ${problem}`, { place: { file }, hint, cause: error });
}

/**
 * Makes a folder and those above it.
 * @throws what the system says. Node.js hides some of it: of a read-only disk it says that the folder does not exist
 */
export async function makeFolders(path: string): Promise<void> {
  try {
    await promises.mkdir(path, { recursive: true });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const isThere = (at: string) =>
      promises.stat(at).then(
        () => true,
        () => false,
      );
    let missing = path;
    while (!(await isThere(dirname(missing)))) missing = dirname(missing);
    await promises.mkdir(missing);
    await promises.mkdir(path, { recursive: true });
  }
}

/** Writes a small file so that it is there whole or not at all. */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  const partial = `${path}.partial`;
  try {
    const file = await promises.open(partial, 'w');
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await promises.rename(partial, path);
  } catch (error) {
    await promises.rm(partial, { force: true }).catch(() => {});
    throw diskError(error, path);
  }
}

/** Failures that say more than that the system cannot sync a folder. */
const SYNC_FAILURES = new Set(['EIO', 'ENOSPC', 'EDQUOT']);

/**
 * Makes the names in a folder durable: what was created, renamed or removed there. Where the system has no such call, it is left to it.
 * @throws TensorpressError DISK
 */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await promises.open(folder, 'r').catch(() => undefined); // Windows opens no folders
  try {
    await handle?.sync();
  } catch (error) {
    if (SYNC_FAILURES.has(errnoOf(error) ?? '')) throw diskError(error, folder);
  } finally {
    await handle?.close();
  }
}
