import type * as promises from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TensorpressError, type Place } from '../../errors.js';
import { errnoOf } from '../../formats/files.js';
import { printable } from '../../formats/printable.js';
import { isRecord } from '../../formats/records.js';
import type { Refuse } from './models.js';

export type TokenizerFs = Pick<typeof promises, 'readFile' | 'readdir'>;

export type Json = Readonly<Record<string, unknown>>;

const SMALL_FILES = [
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'generation_config.json',
  'chat_template.json',
] as const;
export const TEMPLATE = 'chat_template.jinja';

/** What a model folder says of its tokenizer. */
export interface TokenizerFiles {
  /** tokenizer.json, or where there is none SentencePiece's tokenizer.model. */
  readonly main: { readonly name: string; readonly bytes: Buffer };
  /** Those that are not there are empty. */
  readonly small: Readonly<Record<(typeof SMALL_FILES)[number], Json>>;
  /** chat_template.jinja. */
  readonly template: string | undefined;
  placeOf(name: string): Place;
  /** Says what is wrong with one of the files. */
  refuser(name: string): Refuse;
}

/** @throws TensorpressError MODEL when there is no tokenizer, or one of its files cannot be read */
export async function readTokenizerFiles(folder: string, fs: TokenizerFs): Promise<TokenizerFiles> {
  const path = resolve(folder);
  const names = await listNames(path, folder, fs);
  const main = ['tokenizer.json', 'tokenizer.model'].find(name => names.includes(name));
  if (main === undefined) {
    throw new TensorpressError('MODEL', `${printable(folder)} holds no tokenizer.json and no tokenizer.model`, {
      place: { file: path },
      hint: withoutTokenizer(names),
    });
  }
  const contents = new Map<string, Buffer>();
  for (const name of [main, ...SMALL_FILES, TEMPLATE]) {
    if (names.includes(name)) contents.set(name, await readWhole(join(path, name), name, fs));
  }
  const placeOf = (name: string): Place => ({ file: join(path, name) });
  const refuser =
    (name: string): Refuse =>
    problem => {
      throw new TensorpressError('MODEL', `${name} ${problem}`, {
        place: placeOf(name),
        hint: "fetch the tokenizer's files again from where the model came from, or give the text as token ids in a .json file",
      });
    };
  const json = (name: string): Json => {
    const bytes = contents.get(name);
    if (bytes === undefined) return {};
    const value = parseJson(bytes, refuser(name));
    return isRecord(value) ? value : refuser(name)('is not an object');
  };
  return {
    main: { name: main, bytes: contents.get(main)! },
    small: Object.fromEntries(SMALL_FILES.map(name => [name, json(name)])) as TokenizerFiles['small'],
    template: contents.get(TEMPLATE)?.toString('utf8'),
    placeOf,
    refuser,
  };
}

/** The value of a file in JSON. */
export function parseJson(bytes: Buffer, refuse: Refuse): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return refuse('is damaged: it is not JSON');
  }
}

function withoutTokenizer(names: readonly string[]): string {
  const others = ['vocab.json', 'vocab.txt', 'tekken.json', 'tiktoken.model', 'qwen.tiktoken'];
  const other = others.find(name => names.includes(name));
  return other === undefined
    ? "copy the tokenizer's files into the folder, or give the text as token ids in a .json file"
    : `${other} alone is not read: save the tokenizer once with transformers, which writes tokenizer.json`;
}

async function listNames(path: string, shown: string, fs: TokenizerFs): Promise<string[]> {
  try {
    return await fs.readdir(path);
  } catch (error) {
    const missing = errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR';
    const problem = missing ? `there is no model folder ${printable(shown)}` : `${printable(shown)} may not be read`;
    throw new TensorpressError('MODEL', problem, {
      place: { file: path },
      hint: 'give the folder that holds the model and its tokenizer',
      cause: error,
    });
  }
}

async function readWhole(path: string, name: string, fs: TokenizerFs): Promise<Buffer> {
  try {
    return await fs.readFile(path);
  } catch (error) {
    throw new TensorpressError('MODEL', `${name} cannot be read (${errnoOf(error) ?? String(error)})`, {
      place: { file: path },
      hint: 'the download is incomplete: fetch the model again, or check the permissions of the file',
      cause: error,
    });
  }
}
