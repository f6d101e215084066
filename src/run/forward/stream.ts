import { open, mkdtemp, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskError, readError, readFully } from '../../formats/files.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Batch } from './batches.js';

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
  const home = await mkdtemp(join(folder ?? tmpdir(), 'tensorpress-')).catch((error: unknown) => {
    throw diskError(error, shown);
  });
  const path = join(home, 'hidden');
  const file: FileHandle = await open(path, 'w+').catch((error: unknown) => {
    throw diskError(error, shown);
  });
  // where the system allows it the file has no name any more, so that nothing is left whatever happens
  if (process.platform !== 'win32') await rm(home, { recursive: true, force: true });
  const ElementType = engine.precision === 'float64' ? Float64Array : Float32Array;
  const places: number[] = [];
  let end = 0;
  for (const { ids } of batches) {
    places.push(end);
    end += ids.length * width * ElementType.BYTES_PER_ELEMENT;
  }
  const lent = new Map<number, Tensor>();
  return {
    async read(batch) {
      const { ids } = batches[batch]!;
      const data = new ElementType(ids.length * width);
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
      await writeFully(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), places[batch]!).catch(
        (error: unknown) => {
          throw diskError(error, shown);
        },
      );
      hidden.dispose();
      lent.get(batch)?.dispose();
      lent.delete(batch);
    },
    async close() {
      lent.forEach(tensor => tensor.dispose());
      await file.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Writes all of `bytes`, however little each call takes. */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
