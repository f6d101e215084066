import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { diskError, makeFolders } from '../formats/files.js';
import { layoutFile } from '../formats/safetensors/layout.js';
import { openForWriting } from '../formats/safetensors/writer.js';
import type { Batch } from './forward/batches.js';

/** Logits that are in memory at a time, unless one batch has more. */
const GROUP_ELEMENTS = 1 << 26;

/** A safetensors file with a float32 tensor `row<i>` [tokens, vocabulary] for each row. It has its name when it is complete. */
export interface LogitsOutput {
  /** Batches whose logits are put together at the same time. */
  readonly groups: readonly (readonly number[])[];
  /** Takes logits [tokens, count] of a batch for the vocabulary from `from` on. */
  take(batch: number, from: number, count: number, logits: Float32Array | Float64Array): Promise<void>;
  finish(): Promise<void>;
  abort(): Promise<void>;
}

/** @throws TensorpressError DISK */
export async function createLogitsOutput(
  path: string,
  batches: readonly Batch[],
  vocabulary: number,
): Promise<LogitsOutput> {
  const full = resolve(path);
  const planned = batches.flatMap(({ first, rows, length }) =>
    Array.from({ length: rows }, (_, i) => ({
      name: `row${first + i}`,
      dtype: 'F32' as const,
      shape: [length, vocabulary],
    })),
  );
  await makeFolders(dirname(full)).catch((error: unknown) => {
    throw diskError(error, path);
  });
  const there = await stat(full).catch(() => undefined);
  if (there?.isDirectory()) {
    throw new TensorpressError('DISK', `${path} is a folder, not a file`, { hint: 'give --logits the name of a file' });
  }
  const writer = await openForWriting(full, layoutFile(planned));
  const parts = new Map<number, Float32Array>();
  return {
    groups: groupsOf(batches, vocabulary),
    async take(b, from, count, logits) {
      const { ids, first, rows, length } = batches[b]!;
      const whole = parts.get(b) ?? new Float32Array(ids.length * vocabulary);
      parts.set(b, whole);
      for (let t = 0; t < ids.length; t++) {
        whole.set(logits.subarray(t * count, (t + 1) * count), t * vocabulary + from);
      }
      if (from + count < vocabulary) return;
      for (let row = 0; row < rows; row++) {
        const values = whole.subarray(row * length * vocabulary, (row + 1) * length * vocabulary);
        await writer.write(`row${first + row}`, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      }
      parts.delete(b);
    },
    finish: () => writer.finish(),
    abort: () => writer.abort(),
  };
}

function groupsOf(batches: readonly Batch[], vocabulary: number): number[][] {
  const groups: number[][] = [];
  let room = 0;
  for (const [b, { ids }] of batches.entries()) {
    const elements = ids.length * vocabulary;
    if (elements > room || groups.length === 0) {
      groups.push([]);
      room = GROUP_ELEMENTS;
    }
    groups.at(-1)!.push(b);
    room -= elements;
  }
  return groups;
}
