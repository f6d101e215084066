import { randomUUID } from 'node:crypto';
import { readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { makeFolders, writeWhole } from '../formats/files.js';
import type { Engine } from '../runtime/engine/engine.js';
import type { Model } from '../runtime/model/model.js';
import type { TokenRows } from '../runtime/text/texts.js';
import type { Evaluation, Judgement } from './evaluate.js';
import { weightsOf } from './fingerprint.js';
import { sha256 } from './hash.js';
import { VERSION } from './version.js';

/** A judgement, and what it took to come to it. */
export type Measured = Judgement & Pick<Evaluation, 'seconds' | 'peak_memory_bytes'>;

/** What is measured, and on what. */
export interface Subject {
  readonly model: Model;
  /** Of the token ids and of which of them are scored: what the text, its tokenizer, the context, the stride and the protocol come to. */
  readonly rows: TokenRows;
  readonly engine: Engine;
}

export interface CacheOptions {
  readonly folder: string;
  /** Measures, whatever is known. */
  readonly force: boolean;
}

/**
 * The perplexity of a model alone: as an earlier run has measured it if nothing has changed, else measured and kept. A file of the cache names all
 * that its figures depend on, and is used for nothing else; one that is damaged, or that cannot be written, is as good as none.
 */
export async function cachedPerplexity(
  subject: Subject,
  { folder, force }: CacheOptions,
  measure: () => Promise<Measured>,
): Promise<{ readonly measured: Measured; readonly known: boolean }> {
  const key = await keyOf(subject);
  if (key === undefined) return { measured: await measure(), known: false };
  const path = join(folder, `${sha256(key)}.json`);
  const known = force ? undefined : await readEntry(path, key);
  if (known !== undefined) return { measured: known, known: true };
  const measured = await measure();
  // what has changed meanwhile is not what was measured
  if ((await keyOf(subject)) === key) await writeEntry(folder, path, key, measured);
  return { measured, known: false };
}

/** Everything that decides the figures, as JSON; undefined when it cannot be told. Weights are told by their places, headers, sizes and times. */
async function keyOf({ model, rows, engine }: Subject): Promise<string | undefined> {
  const place = await placeOf(model).catch(() => undefined); // a file may have gone
  if (place === undefined) return undefined;
  return JSON.stringify({
    tensorpress: VERSION,
    ...place,
    config: sha256(model.configText),
    weights: weightsOf(model.source),
    rows: rows.sha256,
    engine: `${engine.name} ${engine.precision}, ${engine.description}`,
    machine: `${process.platform} ${process.arch} ${cpus()[0]?.model ?? ''}`,
  });
}

/** The folder, and for each weight file what no one can set back, as the time of the last change can be. */
async function placeOf({ folder, source }: Model) {
  const real = await realpath(folder);
  const inodes = source.files.map(async ({ path }) => {
    const { ino, ctimeMs } = await stat(join(real, path));
    return `${path} ${ino} ${ctimeMs}`;
  });
  return { folder: real, inodes: await Promise.all(inodes) };
}

interface Entry {
  readonly key: string;
  readonly measured: Measured;
  /** Of both as JSON. */
  readonly sha256: string;
}

async function readEntry(path: string, key: string): Promise<Measured | undefined> {
  try {
    const entry = JSON.parse(await readFile(path, 'utf8')) as Entry;
    return entry.key === key && entry.sha256 === checkOf(entry) ? entry.measured : undefined;
  } catch {
    return undefined;
  }
}

async function writeEntry(folder: string, path: string, key: string, measured: Measured): Promise<void> {
  const entry: Entry = { key, measured, sha256: checkOf({ key, measured }) };
  const own = `${path}.${randomUUID()}`; // another process may write the same
  try {
    await makeFolders(folder);
    await writeWhole(own, JSON.stringify(entry));
    await rename(own, path);
  } catch {
    await rm(own, { force: true }).catch(() => {}); // measured again next time
  }
}

function checkOf({ key, measured }: Omit<Entry, 'sha256'>): string {
  return sha256(JSON.stringify([key, measured]));
}
