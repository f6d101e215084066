import * as promises from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { errnoOf, readError, type ReadFs } from '../../formats/files.js';
import { printable } from '../../formats/printable.js';
import { openSafetensors } from '../../formats/safetensors/source.js';
import type { Source } from '../../formats/source.js';
import { buildModel } from './build.js';
import { isCompanion } from './companions.js';
import { MAX_CONFIG_BYTES, readConfig } from './config.js';
import type { Model } from './model.js';

export type ModelFs = ReadFs & Pick<typeof promises, 'readFile'>;

export interface LoadOptions {
  /** Default: node:fs/promises. */
  readonly fs?: ModelFs;
  /** The weights. Default: the folder's safetensors files. */
  readonly source?: Source;
  /** Text of a config.json that the folder does not hold yet. */
  readonly configText?: string;
  /** How messages and reports call the model. Default: the folder's name. */
  readonly name?: string;
}

/**
 * Opens a model in Hugging Face format: reads config.json and the headers of the weights, nothing else (but both tensors of a head that is
 * tied to an embedding and stored all the same). Close `model.source` when done.
 * @throws TensorpressError MODEL when the folder is no such model, TENSOR when its weights are damaged
 */
export async function loadModel(
  folder: string,
  { fs = promises, source: given, configText, name }: LoadOptions = {},
): Promise<Model> {
  const path = resolve(folder);
  const names = await listFolder(path, folder, fs);
  const config = readConfig(configText ?? (await readConfigFile(path, names, fs)), join(path, 'config.json'));
  const source = given ?? (await openSafetensors(path, { fs }));
  try {
    const companions = await regularFiles(path, names.filter(isCompanion), fs);
    return await buildModel({ folder: path, name: name ?? basename(path), config, source, companions });
  } catch (error) {
    if (given === undefined) await source.close();
    throw error;
  }
}

/** Files of a model folder that an output takes along: tokenizer, generation_config.json, code, licence; ascending. */
export async function companionsOf(folder: string, { fs = promises }: { fs?: ModelFs } = {}): Promise<string[]> {
  const path = resolve(folder);
  return await regularFiles(path, (await listFolder(path, folder, fs)).filter(isCompanion), fs);
}

async function listFolder(path: string, shown: string, fs: ModelFs): Promise<string[]> {
  const place = { file: path };
  try {
    return (await fs.readdir(path)).sort();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT') {
      throw new TensorpressError('MODEL', `there is no model folder ${printable(shown)}`, {
        place,
        hint: 'give a folder with config.json and safetensors files, or org/name to download a model',
      });
    }
    if (code === 'ENOTDIR') {
      throw new TensorpressError('MODEL', `${printable(shown)} is not a folder`, {
        place,
        hint: path.endsWith('.gguf')
          ? 'a GGUF cannot be the source; give the Hugging Face folder that it was made from'
          : 'give the folder that holds config.json and the weights',
      });
    }
    throw new TensorpressError('MODEL', readError(error, printable(shown)).message, {
      place,
      hint: 'check the permissions of the folder',
      cause: error,
    });
  }
}

async function readConfigFile(folder: string, names: readonly string[], fs: ModelFs): Promise<Uint8Array> {
  const file = join(folder, 'config.json');
  if (!names.includes('config.json')) {
    throw new TensorpressError('MODEL', `${printable(folder)} holds no config.json`, {
      place: { file: folder },
      hint: withoutConfig(names),
    });
  }
  try {
    const { size } = await fs.stat(file);
    if (size <= MAX_CONFIG_BYTES) return await fs.readFile(file);
  } catch (error) {
    const hint =
      errnoOf(error) === 'ENOENT'
        ? 'the download is incomplete: fetch the model again'
        : 'check the file and its permissions';
    throw new TensorpressError('MODEL', readError(error, 'config.json').message, {
      place: { file },
      hint,
      cause: error,
    });
  }
  throw new TensorpressError('MODEL', 'config.json is too large to be one', {
    place: { file },
    hint: 'a config.json has a few kilobytes; fetch the model again',
  });
}

function withoutConfig(names: readonly string[]): string {
  if (names.includes('adapter_config.json'))
    return 'this is an adapter: merge it into its base model first, and give the merged model';
  if (names.includes('params.json'))
    return "these are weights in the publisher's own format: take the Hugging Face version of the model";
  if (names.some(name => name.endsWith('.gguf')))
    return 'a GGUF cannot be the source; give the Hugging Face folder that it was made from';
  const folders = names.includes('snapshots') ? 'give one of the folders inside snapshots' : undefined;
  return folders ?? 'give the folder that a Hugging Face model was downloaded to';
}

/** Those that are files, or links to files (the Hugging Face cache is made of links). */
async function regularFiles(folder: string, names: readonly string[], fs: ModelFs): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const stats = await fs.stat(join(folder, name)).catch(() => undefined);
    if (stats?.isFile()) found.push(name);
  }
  return found;
}
