import { open, mkdtemp, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { diskError, readError, readFully, writeFully } from '../../formats/files.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Batch } from './batches.js';
import { floats } from './supplies.js';

/** Hidden states up to this size stay where the engine computes; larger ones lie in a file. A constant, so that runs are alike everywhere. */
const RESIDENT_BYTES = 1 << 28;

/** The hidden states of all batches between two parts. */
export interface Stream {
  /** The caller's own until it gives the next. */
  read(batch: number): Promise<Tensor>;
  /** Takes what the next part reads; it is the stream's own now. */
  next(batch: number, hidden: Tensor): Promise<void>;
  close(): Promise<void>;
}

export interface Storage {
  /** Where a file may lie. Default: a folder of the system. */
  readonly folder?: string;
  /** Hidden states up to this size stay where the engine computes. Default: RESIDENT_BYTES. */
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
  const { batches, width, residentBytes = RESIDENT_BYTES } = options;
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
  const shown = 'the file of hidden states';
  const failed = (error: unknown) =>
    Promise.reject(error instanceof TensorpressError ? error : diskError(error, shown));
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
  const places: number[] = [];
  let end = 0;
  for (const { ids } of batches) {
    places.push(end);
    end += floats(engine, 0).BYTES_PER_ELEMENT * ids.length * width;
  }
  const lent = new Map<number, Tensor>();
  return {
    async read(batch) {
      const { ids } = batches[batch]!;
      const data = floats(engine, ids.length * width);
      const bytesRead = await readFully(file, new Uint8Array(data.buffer), places[batch]!).catch((error: unknown) => {
        throw readError(error, shown);
      });
      if (bytesRead !== data.byteLength) throw readError(new Error('it has become shorter'), shown);
      const tensor = engine.tensor(data, [ids.length, width]);
      lent.set(batch, tensor);
      return tensor;
    },
    async next(batch, hidden) {
      const data = await hidden.read();
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      await writeFully(file, bytes, places[batch]!, shown).catch(failed);
      hidden.dispose();
      lent.get(batch)?.dispose();
      lent.delete(batch);
    },
    async close() {
      lent.forEach(tensor => tensor.dispose());
      await file.close();
      if (!unnamed) await rm(home, { recursive: true, force: true });
    },
  };
}
