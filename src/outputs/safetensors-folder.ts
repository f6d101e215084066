import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, writeWhole } from '../formats/files.js';
import { byteLength, layoutFile } from '../formats/safetensors/layout.js';
import { INDEX_FILE, SINGLE_FILE } from '../formats/safetensors/locate.js';
import { planShards } from '../formats/safetensors/shards.js';
import { openForWriting, type TensorWriter } from '../formats/safetensors/writer.js';
import type { DType } from '../numerics/dtypes.js';
import type { Output } from './output.js';

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
  const shardOf = new Map(
    shards.flatMap(({ name, layout }) => [...layout.offsets.keys()].map(tensor => [tensor, name] as const)),
  );
  const bytesOf = new Map<string, number>();
  for (const tensor of tensors) {
    if (tensor.module !== undefined) bytesOf.set(tensor.module, (bytesOf.get(tensor.module) ?? 0) + byteLength(tensor));
  }
  const writers = new Map<string, TensorWriter>();
  const all = async (each: (writer: TensorWriter) => Promise<void>) => {
    await Promise.all([...writers.values()].map(each));
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
      await mkdir(folder, { recursive: true }).catch((error: unknown) => Promise.reject(diskError(error, folder)));
      for (const { name, layout } of shards)
        writers.set(name, await openForWriting(join(folder, name), layout, { stored }));
    },
    write: (tensor, offset, bytes) => writers.get(shardOf.get(tensor)!)!.write(tensor, offset, bytes),
    sync: () => all(writer => writer.sync()),
    async finish() {
      // readers take the single file before an index, so neither may be left from an earlier checkpoint
      await rm(join(folder, index === null ? INDEX_FILE : SINGLE_FILE), { force: true });
      await all(writer => writer.finish());
      if (index !== null) await writeWhole(join(folder, INDEX_FILE), index);
    },
    close: () => all(writer => writer.close()),
    discard: () => all(writer => writer.abort()),
  };
}
