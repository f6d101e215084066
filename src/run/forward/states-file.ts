import type { FileHandle } from 'node:fs/promises';
import { TensorpressError } from '../../errors.js';
import { diskError, readError, readFully, writeFully } from '../../formats/files.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Batch } from './batches.js';
import { floats } from './supplies.js';

/** What messages call the file. */
export const SHOWN = 'the file of hidden states';

/** How the hidden states of all batches lie in a file, one batch behind the other. No more than one is in memory. */
export class StatesFile {
  readonly #engine: Engine;
  readonly #batches: readonly Batch[];
  readonly #width: number;
  readonly #places: number[] = [];
  readonly #memory: Float32Array | Float64Array;
  #lent: Tensor | undefined;

  /** @param width elements of a token */
  constructor(engine: Engine, { batches, width }: { readonly batches: readonly Batch[]; readonly width: number }) {
    this.#engine = engine;
    this.#batches = batches;
    this.#width = width;
    this.#memory = floats(engine, width * Math.max(0, ...batches.map(({ ids }) => ids.length)));
    let end = 0;
    for (const { ids } of batches) {
      this.#places.push(end);
      end += this.#memory.BYTES_PER_ELEMENT * ids.length * width;
    }
  }

  /**
   * [tokens, width], to be used until the next is read.
   * @throws TensorpressError DISK
   */
  async read(file: FileHandle, batch: number): Promise<Tensor> {
    this.#lent?.dispose();
    const tokens = this.#batches[batch]!.ids.length;
    const states = this.#memory.subarray(0, tokens * this.#width);
    const bytes = new Uint8Array(states.buffer, 0, states.byteLength);
    const read = await readFully(file, bytes, this.#places[batch]!).catch((error: unknown) => {
      throw readError(error, SHOWN);
    });
    if (read !== bytes.length) throw readError(new Error('it has become shorter'), SHOWN);
    return (this.#lent = this.#engine.tensor(states, [tokens, this.#width]));
  }

  /**
   * Writes what is the file's own from then on.
   * @throws TensorpressError DISK
   */
  async write(file: FileHandle, batch: number, hidden: Tensor): Promise<void> {
    const { buffer, byteOffset, byteLength } = await hidden.read();
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    await writeFully(file, bytes, this.#places[batch]!, SHOWN).catch((error: unknown) => {
      throw error instanceof TensorpressError ? error : diskError(error, SHOWN);
    });
    hidden.dispose();
  }

  close(): void {
    this.#lent?.dispose();
  }
}
