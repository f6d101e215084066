import type { Stats } from 'node:fs';
import * as promises from 'node:fs/promises';
import { join } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { readFully, statFile, withFile, type ReadFs } from '../files.js';
import { printable } from '../printable.js';
import type { Source, SourceFile, TensorInfo } from '../source.js';
import { headerLength, parseHeader, PREFIX_BYTES, type Header, type Placed } from './header.js';
import { locateSafetensors, type Located } from './locate.js';

interface Opened {
  readonly name: string;
  readonly path: string;
  readonly stats: Stats;
  readonly bytes: Uint8Array;
  readonly header: Header;
}

/**
 * Opens a model's safetensors files: reads and checks every header, no data. Each read opens its file anew and compares size and time of
 * change, so that a file that is replaced or cut off during a run is noticed and no handle stays open.
 * @param path the model folder, a .safetensors file, or a .safetensors.index.json file
 * @throws TensorpressError MODEL when there are no weights, TENSOR when a file is damaged or hostile
 */
export async function openSafetensors(path: string, { fs = promises }: { fs?: ReadFs } = {}): Promise<Source> {
  const located = await locateSafetensors(path, fs);
  const opened: Opened[] = [];
  for (const name of located.files) opened.push(await openFile(located.folder, name, fs));

  const tensors = new Map<string, TensorInfo>();
  const places = new Map<string, { file: Opened; tensor: Placed }>();
  for (const file of opened) {
    for (const tensor of file.header.tensors.values()) {
      const { name, dtype, shape, begin, end } = tensor;
      const other = tensors.get(name);
      if (other) throw misplaced(`${name} stands in ${other.file} and in ${file.name}`, file.name, name);
      tensors.set(name, { name, dtype, shape, bytes: end - begin, file: file.name });
      places.set(name, { file, tensor });
    }
  }
  compareWithIndex(located, tensors);

  return {
    tensors,
    files: opened.map(({ name, stats, bytes }): SourceFile => ({
      path: name,
      bytes: stats.size,
      mtimeMs: stats.mtimeMs,
      header: bytes,
    })),
    read: async (name, rows, memory) => {
      const found = places.get(name);
      if (!found) {
        throw new TensorpressError('TENSOR', `the model has no tensor ${printable(name)}`, {
          place: { file: located.index?.file ?? located.files[0]!, tensor: printable(name) },
          hint: '`tensorpress inspect` lists the tensors of a model',
        });
      }
      return await readTensor(found.file, found.tensor, rows, memory, fs);
    },
    close: () => Promise.resolve(),
  };
}

/** Reads and checks one file's header. */
async function openFile(folder: string, name: string, fs: ReadFs): Promise<Opened> {
  const path = join(folder, name);
  const stats = await statFile(path, name, fs);
  const bytes = await withFile(path, { file: name, fs }, async handle => {
    const prefix = new Uint8Array(PREFIX_BYTES);
    const available = await readFully(handle, prefix, 0);
    const whole = new Uint8Array(PREFIX_BYTES + headerLength(prefix.subarray(0, available), stats.size, name));
    if ((await readFully(handle, whole, 0)) < whole.length) throw changed(name);
    return whole;
  });
  return { name, path, stats, bytes, header: parseHeader(bytes, stats.size, name) };
}

async function readTensor(
  { name: file, path, stats }: Opened,
  { name, shape, begin, end }: Placed,
  rows: { readonly from: number; readonly to: number } | undefined,
  memory: ((bytes: number) => Uint8Array) | undefined,
  fs: ReadFs,
): Promise<Uint8Array> {
  const rowCount = shape[0] ?? 1;
  const { from, to } = rows ?? { from: 0, to: rowCount };
  if (!(from >= 0 && from <= to && to <= rowCount)) {
    throw new TensorpressError('INTERNAL', `rows ${from} to ${to} were asked of ${name}, which has ${rowCount}`, {
      place: { file, tensor: name },
    });
  }
  const rowBytes = rowCount === 0 ? 0 : (end - begin) / rowCount;
  const length = (to - from) * rowBytes;
  return await withFile(path, { file, tensor: name, fs }, async handle => {
    const now = await handle.stat();
    if (!now.isFile() || now.size !== stats.size || now.mtimeMs !== stats.mtimeMs) throw changed(file, name);
    const bytes = memory?.(length) ?? allocate(length, file, name);
    if ((await readFully(handle, bytes, begin + from * rowBytes)) < length) throw changed(file, name);
    return bytes;
  });
}

/** Zeroed memory of its own (not a slice of a pool), so that any typed array can view it. */
function allocate(length: number, file: string, tensor: string): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw new TensorpressError('TENSOR', `${length} bytes of ${tensor} do not fit in memory at once`, {
      place: { file, tensor },
      hint: 'close other programs or use a machine with more memory',
      cause: error,
    });
  }
}

function changed(file: string, tensor?: string): TensorpressError {
  return new TensorpressError(
    'TENSOR',
    `${file} has changed since it was opened${tensor === undefined ? '' : `; ${tensor} was not read`}`,
    {
      place: tensor === undefined ? { file } : { file, tensor },
      hint: 'let no other program write to the model folder, then start again',
    },
  );
}

/** Index and shards must agree on every tensor. */
function compareWithIndex({ index }: Located, tensors: ReadonlyMap<string, TensorInfo>): void {
  if (index === undefined) return;
  for (const [name, file] of index.weightMap) {
    const tensor = tensors.get(name);
    if (tensor?.file === file) continue;
    const shown = printable(name);
    const where = tensor === undefined ? 'no file holds it' : `it stands in ${tensor.file}`;
    throw misplaced(`${index.file} places ${shown} in ${file}, but ${where}`, file, shown);
  }
  for (const { name, file } of tensors.values()) {
    if (!index.weightMap.has(name)) throw misplaced(`${name} of ${file} is missing from ${index.file}`, file, name);
  }
}

function misplaced(message: string, file: string, tensor: string): TensorpressError {
  return new TensorpressError('TENSOR', message, {
    place: { file, tensor },
    hint: 'the download mixes two versions of the model or is incomplete: fetch it again',
  });
}
