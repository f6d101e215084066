import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { TensorpressError } from '../../errors.js';
import { diskError, readFully, writeFully } from '../../formats/files.js';
import type { Engine } from '../../runtime/engine/engine.js';
import type { Batch } from '../forward/batches.js';
import type { Stream } from '../forward/stream.js';
import { floats } from '../forward/supplies.js';

/**
 * Writes the hidden states of all batches to a file, which is not on the disk yet: see `syncStates`.
 * @throws TensorpressError DISK
 */
export async function saveStates(path: string, stream: Stream, batches: readonly Batch[]): Promise<void> {
  const failed = (error: unknown) => Promise.reject(error instanceof TensorpressError ? error : diskError(error, path));
  const file = await open(path, 'w').catch(failed);
  try {
    let at = 0;
    for (const b of batches.keys()) {
      const { buffer, byteOffset, byteLength } = await (await stream.read(b)).read();
      await writeFully(file, new Uint8Array(buffer, byteOffset, byteLength), at, path).catch(failed);
      at += byteLength;
    }
  } finally {
    await file.close();
  }
}

/**
 * Brings a file of states onto the disk.
 * @returns its SHA-256 in hex
 */
export async function syncStates(path: string): Promise<string> {
  const failed = (error: unknown) => Promise.reject(diskError(error, path));
  const file = await open(path, 'r+').catch(failed);
  try {
    await file.datasync().catch(failed);
  } finally {
    await file.close();
  }
  return hashStates(path).catch(failed);
}

async function hashStates(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 22 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

interface Into {
  readonly engine: Engine;
  readonly stream: Stream;
  readonly batches: readonly Batch[];
  readonly width: number;
}

/**
 * Reads hidden states back.
 * @throws TensorpressError DISK when they are not as they were written
 */
export async function loadStates(
  path: string,
  sha256: string,
  { engine, stream, batches, width }: Into,
): Promise<void> {
  const changed = () =>
    new TensorpressError('DISK', 'the hidden states of the unfinished run are not as it has stored them', {
      place: { file: path },
      hint: 'check the disk, and start over with --force',
    });
  if ((await hashStates(path).catch(() => undefined)) !== sha256) throw changed();
  const file = await open(path, 'r').catch((error: unknown) => Promise.reject(diskError(error, path)));
  try {
    let at = 0;
    for (const [b, { ids }] of batches.entries()) {
      const states = floats(engine, ids.length * width);
      const bytes = new Uint8Array(states.buffer);
      if ((await readFully(file, bytes, at)) !== bytes.length) throw changed();
      at += bytes.length;
      await stream.next(b, engine.tensor(states, [ids.length, width]));
    }
  } finally {
    await file.close();
  }
}
