import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TensorpressError } from '../errors.js';
import { diskError } from '../formats/files.js';

/** A folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: unknown) => Promise.reject(diskError(error, path)));
}

export interface FileHash {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** SHA-256 of a file; `path` is written as `as`. */
export async function hashFile(path: string, as: string): Promise<FileHash> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return { path: as, sha256: hash.digest('hex'), bytes: (await stat(path)).size };
}

export type FolderState = 'absent' | 'empty' | 'finished' | 'unfinished' | 'foreign';

/** What stands in a run folder. */
export async function folderState(folder: string): Promise<FolderState> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') {
      throw new TensorpressError('ARGUMENT', `${folder} is a file, not a folder`, {
        hint: 'choose another folder with --out',
      });
    }
    throw diskError(error, folder);
  }
  if (names.length === 0) return 'empty';
  if (names.includes('run.json')) return 'finished';
  if (names.includes('.tensorpress')) return 'unfinished';
  return 'foreign';
}

/** Refuses to write over anything that the user has not given up; an unfinished run may go on. */
export async function claimFolder(folder: string, force: boolean): Promise<void> {
  const state = await folderState(folder);
  if (force || state === 'absent' || state === 'empty' || state === 'unfinished') return;
  const sentence = state === 'finished' ? `${folder} holds a finished run` : `${folder} is not empty`;
  throw new TensorpressError('FINISHED', sentence, {
    hint: 'choose another folder with --out, or replace what is there with --force',
  });
}

/** Removes leftovers of earlier runs: what a run.json listed, and partial files. Called when everything new is ready to take their place. */
export async function clearOld(folder: string, listed: readonly string[]): Promise<void> {
  await rm(join(folder, 'run.json'), { force: true });
  await rm(join(folder, 'config.json'), { force: true });
  for (const path of listed) await rm(join(folder, path), { force: true });
}
