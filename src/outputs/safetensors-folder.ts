import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, makeFolders, syncFolder, writeWhole } from '../formats/files.js';
import { byteLength, layoutFile } from '../formats/safetensors/layout.js';
import { INDEX_FILE, SINGLE_FILE } from '../formats/safetensors/locate.js';
import { planShards } from '../formats/safetensors/shards.js';
import { openForWriting, type TensorWriter } from '../formats/safetensors/writer.js';
import type { DType } from '../numerics/dtypes.js';
import type { Output } from './output.js';

/** Bytes that are read at a time to be hashed. */
const READ_BYTES = 1 << 22;

export interface StoredTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The module it belongs to, when it is part of a compressed weight. */
  readonly module?: string;
}

/** Files, places and names of any set of tensors: one file, or shards with an index. */
export function safetensorsFolder(
  tensors: readonly StoredTensor[],
  folder: string,
  maxShardSize: number,
): Omit<Output, 'format' | 'encoding' | 'encodeParameters'> {
  const { files, index } = planShards(tensors, maxShardSize);
  const shards = files.map(({ name, tensors: members }) => ({ name, layout: layoutFile(members) }));
  const places = new Map(
    shards.flatMap(({ name: file, layout }) =>
      [...layout.offsets].map(([name, { bytes }]) => [name, { file, bytes }] as const),
    ),
  );
  const bytesOf = new Map<string, number>();
  for (const tensor of tensors) {
    if (tensor.module !== undefined) bytesOf.set(tensor.module, (bytesOf.get(tensor.module) ?? 0) + byteLength(tensor));
  }
  const writers = new Map<string, TensorWriter>();
  const writerOf = (tensor: string) => writers.get(places.get(tensor)!.file)!;
  const all = async (each: (writer: TensorWriter) => Promise<void>) => {
    const ends = await Promise.allSettled([...writers.values()].map(each));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };
  return {
    folder,
    files: [
      ...shards.map(({ name, layout }) => ({ name, bytes: layout.bytes })),
      ...(index === null ? [] : [{ name: INDEX_FILE, bytes: Buffer.byteLength(index) }]),
    ],
    tensorBytes: tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0),
    moduleBytes: module => bytesOf.get(module) ?? 0,
    async open(stored) {
      await makeFolders(folder).catch((error: unknown) => Promise.reject(diskError(error, folder)));
      for (const { name, layout } of shards)
        writers.set(name, await openForWriting(join(folder, name), layout, { stored }));
      await syncFolder(folder);
    },
    write: (tensor, offset, bytes) => writerOf(tensor).write(tensor, offset, bytes),
    async hash(tensor) {
      const total = places.get(tensor)!.bytes;
      const hash = createHash('sha256');
      const buffer = new Uint8Array(Math.min(total, READ_BYTES));
      for (let offset = 0; offset < total; offset += buffer.length) {
        const bytes = buffer.subarray(0, Math.min(buffer.length, total - offset));
        await writerOf(tensor).read(tensor, offset, bytes);
        hash.update(bytes);
      }
      return hash.digest('hex');
    },
    sync: () => all(writer => writer.sync()),
    async finish() {
      // readers take the single file before an index, so neither may be left from an earlier checkpoint
      const other = join(folder, index === null ? INDEX_FILE : SINGLE_FILE);
      await rm(other, { force: true }).catch((error: unknown) => Promise.reject(diskError(error, other)));
      await all(writer => writer.finish());
      if (index !== null) await writeWhole(join(folder, INDEX_FILE), index);
      await syncFolder(folder);
    },
    close: () => all(writer => writer.close()),
    discard: () => all(writer => writer.abort()),
  };
}
