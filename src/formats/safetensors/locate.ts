import { basename, dirname, join, resolve } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { errnoOf, readError, readFully, statFile, type ReadFs } from '../files.js';
import { printable } from '../printable.js';
import { MAX_INDEX_BYTES, parseIndex } from './shard-index.js';

export const SINGLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Where a model's weights are. */
export interface Located {
  /** Absolute. */
  readonly folder: string;
  /** Names inside the folder, ascending. */
  readonly files: readonly string[];
  /** What the index says: the file of each tensor. Undefined for a single file. */
  readonly index?: { readonly file: string; readonly weightMap: ReadonlyMap<string, string> };
}

/**
 * Finds the safetensors files of a model. A folder: `model.safetensors`, or else the shards of `model.safetensors.index.json` (the order of
 * transformers, so that both programs read the same weights when a folder holds both). A file: itself, or the shards if it is an index.
 * @throws TensorpressError MODEL when there is nothing to read, TENSOR when the index is damaged or hostile
 */
export async function locateSafetensors(path: string, fs: ReadFs): Promise<Located> {
  let isFolder: boolean;
  try {
    isFolder = (await fs.stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw readError(error, path);
    throw new TensorpressError('MODEL', `${path} does not exist`, { place: { file: path }, hint: 'check the path' });
  }
  if (!isFolder) {
    const folder = resolve(dirname(path));
    const name = basename(path);
    return name.endsWith('.index.json') ? await fromIndex(folder, name, fs) : { folder, files: [name] };
  }
  const folder = resolve(path);
  const names = await fs.readdir(path).catch((error: unknown) => {
    throw readError(error, path);
  });
  if (names.includes(SINGLE_FILE)) return { folder, files: [SINGLE_FILE] };
  if (names.includes(INDEX_FILE)) return await fromIndex(folder, INDEX_FILE, fs);
  throw nothingFound(path, names);
}

function nothingFound(path: string, names: readonly string[]): TensorpressError {
  const others = names.filter(name => /\.(safetensors|bin|pth?|gguf)$/.test(name)).sort();
  const [other] = others;
  const hint =
    other === undefined
      ? 'give the folder that a Hugging Face model was downloaded to'
      : !other.endsWith('.safetensors')
        ? `it holds ${printable(other)}: save the model as safetensors first (save_pretrained of transformers does)`
        : others.length === 1
          ? `it holds ${printable(other)}: rename it to ${SINGLE_FILE}`
          : `it holds ${printable(other)} and other files, but not the index that lists them: fetch the model again`;
  return new TensorpressError('MODEL', `${path} holds neither ${SINGLE_FILE} nor ${INDEX_FILE}`, {
    place: { file: path },
    hint,
  });
}

async function fromIndex(folder: string, file: string, fs: ReadFs): Promise<Located> {
  const weightMap = parseIndex(await readWhole(join(folder, file), file, fs), file);
  return { folder, files: [...new Set(weightMap.values())].sort(), index: { file, weightMap } };
}

async function readWhole(path: string, file: string, fs: ReadFs): Promise<Uint8Array> {
  const { size } = await statFile(path, file, fs);
  if (size > MAX_INDEX_BYTES) {
    throw new TensorpressError(
      'TENSOR',
      `the index has ${size} bytes, more than the ${MAX_INDEX_BYTES} that are read`,
      {
        place: { file },
        hint: 'the index is damaged: fetch the model again',
      },
    );
  }
  try {
    const handle = await fs.open(path, 'r');
    try {
      const bytes = new Uint8Array(size);
      return bytes.subarray(0, await readFully(handle, bytes, 0));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw readError(error, file);
  }
}
