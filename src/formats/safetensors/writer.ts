import * as promises from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { diskError, errnoOf, readFully, writeFully, type WriteFs } from '../files.js';
import type { FileLayout } from './layout.js';

/** A safetensors file that is being filled. It has its name only once it is complete. */
export interface TensorWriter {
  /** Where the file will be. */
  readonly path: string;
  /**
   * Writes bytes of a tensor at an offset inside it. Any order, several at a time.
   * @throws TensorpressError DISK
   */
  write(name: string, offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Fills `bytes` with those of a tensor from `offset` on, as they have been written.
   * @throws TensorpressError DISK
   */
  read(name: string, offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Forces everything to the disk and gives the file its name, replacing what had it.
   * @throws TensorpressError DISK; INTERNAL when bytes are missing
   */
  finish(): Promise<void>;
  /**
   * Everything written so far is on the disk when it resolves.
   * @throws TensorpressError DISK
   */
  sync(): Promise<void>;
  /** Closes the file, which stays as it is: `openForWriting` can go on with it. */
  close(): Promise<void>;
  /** Closes and removes the unfinished file. */
  abort(): Promise<void>;
}

/**
 * Creates `<path>.partial` in its final size, header written. Data follow in any order; `finish` renames.
 * @param options.stored tensors that an earlier attempt has written; when there are any, its file is continued. It may have its name already
 *   when all of them are its own.
 * @throws TensorpressError DISK, also when the file to be continued is missing or has another size
 */
export async function openForWriting(
  path: string,
  layout: FileLayout,
  { fs = promises, stored = new Set() }: { fs?: WriteFs; stored?: ReadonlySet<string> } = {},
): Promise<TensorWriter> {
  const partial = `${path}.partial`;
  const shown = basename(path);
  const missing = new Map([...layout.offsets].map(([name, { bytes }]) => [name, stored.has(name) ? 0 : bytes]));
  const complete = [...layout.offsets.keys()].every(name => stored.has(name));

  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof TensorpressError ? error : diskError(error, shown);
    }
  };

  const { handle, named } = await attempt(() =>
    stored.size === 0
      ? fs.open(partial, 'w+').then(created => ({ handle: created, named: false }))
      : reopen(path, layout.bytes, complete, fs),
  );

  const abort = async (): Promise<void> => {
    await handle.close();
    await fs.rm(partial, { force: true });
  };

  if (stored.size === 0) {
    try {
      await attempt(async () => {
        await handle.truncate(layout.bytes);
        await writeFully(handle, layout.header, 0, shown);
      });
    } catch (error) {
      await abort().catch(() => {}); // the first error says more
      throw error;
    }
  }

  /** Where bytes of a tensor lie in the file. */
  const locate = (name: string, offset: number, length: number): number => {
    const place = layout.offsets.get(name);
    if (place === undefined || offset < 0 || offset + length > place.bytes) {
      throw new TensorpressError(
        'INTERNAL',
        `bytes ${offset} to ${offset + length} of ${name} have no place in ${shown}`,
        {
          place: { file: shown, tensor: name },
        },
      );
    }
    return place.offset + offset;
  };

  return {
    path,
    abort,
    write: async (name, offset, bytes) => {
      const position = locate(name, offset, bytes.length);
      await attempt(() => writeFully(handle, bytes, position, shown));
      missing.set(name, missing.get(name)! - bytes.length);
    },
    read: async (name, offset, bytes) => {
      const position = locate(name, offset, bytes.length);
      if ((await attempt(() => readFully(handle, bytes, position))) < bytes.length) throw gone(shown);
    },
    finish: async () => {
      for (const [name, bytes] of missing) {
        if (bytes !== 0) {
          throw new TensorpressError(
            'INTERNAL',
            `${shown} is not complete: ${bytes} bytes of ${name} were not written`,
            {
              place: { file: shown, tensor: name },
            },
          );
        }
      }
      await attempt(async () => {
        await handle.sync();
        await handle.close();
        if (!named) await fs.rename(partial, path);
      });
    },
    sync: () => attempt(() => handle.sync()),
    close: () => handle.close(),
  };
}

/** The file of an earlier attempt: unfinished, or renamed before that attempt ended. */
async function reopen(
  path: string,
  bytes: number,
  complete: boolean,
  fs: WriteFs,
): Promise<{ handle: FileHandle; named: boolean }> {
  for (const named of complete ? [false, true] : [false]) {
    try {
      const handle = await fs.open(named ? path : `${path}.partial`, 'r+');
      const stats = await handle.stat().catch(async (error: unknown) => {
        await handle.close();
        throw error;
      });
      if (stats.size === bytes) return { handle, named };
      await handle.close();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  throw gone(basename(path));
}

function gone(shown: string): TensorpressError {
  return new TensorpressError('DISK', `${shown} of the unfinished run is gone or has another size`, {
    place: { file: shown },
    hint: 'start over with --force',
  });
}
