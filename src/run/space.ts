import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { TensorpressError } from '../errors.js';
import { formatBytes } from './units.js';

/** `stat` counts blocks of this size, whatever those of the disk are. */
const BLOCK = 512;

/**
 * Refuses a run that cannot fit before it starts. What unfinished files occupy already is theirs.
 * @param files paths relative to the folder, which exists
 * @throws TensorpressError DISK
 */
export async function checkSpace(folder: string, bytes: number, files: readonly string[]): Promise<void> {
  const disk = await statfs(folder).catch(() => undefined);
  if (disk === undefined || disk.blocks === 0) return; // some network drives do not tell
  const free = disk.bavail * disk.bsize;
  let needed = bytes;
  for (const file of files)
    needed -= ((await stat(join(folder, `${file}.partial`)).catch(() => undefined))?.blocks ?? 0) * BLOCK;
  if (free >= needed) return;
  const sentence = `the disk is too full: the result takes ${formatBytes(needed)}${needed < bytes ? ' more' : ''}, and ${formatBytes(free)} are free`;
  throw new TensorpressError('DISK', sentence, {
    place: { file: folder },
    hint: 'free some space or choose another folder with --out',
  });
}
