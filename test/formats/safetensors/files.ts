import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layoutFile, type Planned } from '../../../src/formats/safetensors/layout.js';
import { tempFolder } from '../../support/temp.js';

/** Prefix and JSON of a header given as text, padded with `data` bytes of zeros. */
export function fileOf(json: string | Uint8Array, data = 0): Uint8Array {
  const text = typeof json === 'string' ? new TextEncoder().encode(json) : json;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** A whole safetensors file; byte i of a tensor is (seed + i) mod 256, where seed is the tensor's number. */
export function fileWith(tensors: readonly Planned[]): Uint8Array {
  const layout = layoutFile(tensors);
  const bytes = new Uint8Array(layout.bytes);
  bytes.set(layout.header);
  tensors.forEach(({ name }, seed) => {
    bytes.set(contents(seed, layout.offsets.get(name)!.bytes), layout.offsets.get(name)!.offset);
  });
  return bytes;
}

export function contents(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => seed + i);
}

/** A folder with one weight file. */
export function folderWith(tensors: readonly Planned[], file = 'model.safetensors'): string {
  const folder = tempFolder();
  writeFileSync(join(folder, file), fileWith(tensors));
  return folder;
}

/** Writes a model of shards with its index and returns its folder. */
export function writeShards(shards: Readonly<Record<string, readonly Planned[]>>, index?: unknown): string {
  const folder = tempFolder();
  const map: Record<string, string> = {};
  for (const [file, tensors] of Object.entries(shards)) {
    writeFileSync(join(folder, file), fileWith(tensors));
    for (const { name } of tensors) map[name] = file;
  }
  const text = typeof index === 'string' ? index : JSON.stringify(index ?? { weight_map: map });
  writeFileSync(join(folder, 'model.safetensors.index.json'), text);
  return folder;
}
