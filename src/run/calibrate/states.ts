import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { diskError } from '../../formats/files.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Batch } from '../forward/batches.js';
import type { Stream } from '../forward/stream.js';
import { StatesFile } from '../forward/states-file.js';

/** The hidden states of a stream behind a part, in a file. */
export interface SavedStates {
  readonly stream: number;
  /** The part. */
  readonly generation: string;
}

/** The file of saved states in a folder. */
export const statesPath = (folder: string, { stream, generation }: SavedStates): string =>
  join(folder, `${stream}-${generation}`);

export interface HiddenOptions {
  readonly engine: Engine;
  readonly folder: string;
  readonly stream: number;
  readonly batches: readonly Batch[];
  /** Elements of a token. */
  readonly width: number;
}

/**
 * Hidden states between two parts. They lie in a file, and those behind the next part go to another one: while that is not on the disk, a run
 * that is killed goes on from the first. No more than a batch is in memory, and the system keeps what it has room for.
 */
export class HiddenStates implements Stream {
  readonly #states: StatesFile;
  #from: FileHandle | undefined;
  #to: FileHandle | undefined;

  constructor(private readonly options: HiddenOptions) {
    this.#states = new StatesFile(options.engine, options);
  }

  read(batch: number): Promise<Tensor> {
    return this.#states.read(this.#from!, batch);
  }

  next(batch: number, hidden: Tensor): Promise<void> {
    return this.#states.write(this.#to!, batch, hidden);
  }

  /** Gets ready for the states behind a part. */
  async begin(generation: string): Promise<void> {
    const path = statesPath(this.options.folder, { stream: this.options.stream, generation });
    this.#to = await open(path, 'w+').catch((error: unknown) => Promise.reject(diskError(error, path)));
  }

  /** They are complete, and what is read from here on. */
  async advance(): Promise<void> {
    await this.#from?.close();
    this.#from = this.#to;
    this.#to = undefined;
  }

  /**
   * Goes on from states that were saved.
   * @throws TensorpressError DISK when they are not as they were written
   */
  async resume(generation: string, sha256: string): Promise<void> {
    const path = statesPath(this.options.folder, { stream: this.options.stream, generation });
    if ((await hashOf(path).catch(() => undefined)) !== sha256) {
      throw new TensorpressError('DISK', 'the hidden states of the unfinished run are not as it has stored them', {
        place: { file: path },
        hint: 'check the disk, and start over with --force',
      });
    }
    this.#from = await open(path, 'r').catch((error: unknown) => Promise.reject(diskError(error, path)));
  }

  async close(): Promise<void> {
    this.#states.close();
    for (const file of [this.#from, this.#to]) await file?.close();
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
  return hashOf(path).catch(failed);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
