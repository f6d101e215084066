import { open, mkdtemp, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskError } from '../../formats/files.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Batch } from './batches.js';
import { SHOWN, StatesFile } from './states-file.js';

/**
 * Hidden states up to this size stay where the engine computes; larger ones lie in a file. On the host that costs next to nothing, and the system
 * keeps what it has room for; a GPU would wait for them. Constants, so that runs are alike everywhere.
 */
const RESIDENT_BYTES = { host: 1 << 25, gpu: 1 << 28 };

/** The hidden states of all batches between two parts. */
export interface Stream {
  /** To be used until the next is read, or given. */
  read(batch: number): Promise<Tensor>;
  /** Takes what the next part reads; it is the stream's own now. */
  next(batch: number, hidden: Tensor): Promise<void>;
  close(): Promise<void>;
}

export interface Storage {
  /** Where a file may lie. Default: a folder of the system. */
  readonly folder?: string;
  /** Hidden states up to this size stay where the engine computes. Default: that of the device, see RESIDENT_BYTES. */
  readonly residentBytes?: number;
}

export interface StreamOptions extends Storage {
  readonly batches: readonly Batch[];
  /** Elements of a token. */
  readonly width: number;
}

/**
 * A stream for batches of hidden states, in memory while they are few, else in a file that goes with it.
 * @throws TensorpressError DISK when the file cannot be made, read or written
 */
export async function openStream(engine: Engine, options: StreamOptions): Promise<Stream> {
  const { host, gpu } = RESIDENT_BYTES;
  const { batches, width, residentBytes = ['cpu', 'wasm'].includes(engine.device) ? host : gpu } = options;
  const bytes = batches.reduce((sum, { ids }) => sum + ids.length * width * 4, 0);
  return bytes <= residentBytes ? residentStream() : spilledStream(engine, options);
}

function residentStream(): Stream {
  const held = new Map<number, Tensor>();
  return {
    read: batch => Promise.resolve(held.get(batch)!),
    next(batch, hidden) {
      held.get(batch)?.dispose();
      held.set(batch, hidden);
      return Promise.resolve();
    },
    close() {
      held.forEach(tensor => tensor.dispose());
      held.clear();
      return Promise.resolve();
    },
  };
}

async function spilledStream(engine: Engine, { batches, width, folder }: StreamOptions): Promise<Stream> {
  const failed = (error: unknown) => Promise.reject(diskError(error, SHOWN));
  const home = await mkdtemp(join(folder ?? tmpdir(), 'tensorpress-')).catch(failed);
  const unnamed = process.platform !== 'win32';
  let opened: FileHandle | undefined;
  try {
    opened = await open(join(home, 'hidden'), 'w+');
    // where the system allows it the file has no name any more, so that nothing is left whatever happens
    if (unnamed) await rm(home, { recursive: true });
  } catch (error) {
    await opened?.close();
    await rm(home, { recursive: true, force: true });
    return failed(error);
  }
  const file = opened;
  const states = new StatesFile(engine, { batches, width });
  return {
    read: batch => states.read(file, batch),
    next: (batch, hidden) => states.write(file, batch, hidden),
    async close() {
      states.close();
      await file.close();
      if (!unnamed) await rm(home, { recursive: true, force: true });
    },
  };
}
