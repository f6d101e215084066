import { readdir, readFile, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { TensorpressError } from '../errors.js';
import { diskError, errnoOf, syncFolder } from '../formats/files.js';
import { readJournal, type JournalHead } from './journal.js';
import { STATE } from './lock.js';

/** Where the journal of a run folder lies. */
export const journalPath = (folder: string) => join(folder, STATE, 'journal.jsonl');

/**
 * What stands in a run folder. `replacing`: a run that was to replace what is there (`--force`) has ended before it could;
 * `unfinished`: a run that nothing stands in the way of.
 */
export type FolderState = 'free' | 'foreign' | 'finished' | 'replacing' | 'unfinished';

/** @throws TensorpressError ARGUMENT when it is no folder, DISK when it cannot be read */
export async function folderState(folder: string): Promise<FolderState> {
  const names = await listFolder(folder);
  const { head, step } = names.includes(STATE) ? await readJournal(journalPath(folder)) : {};
  if (head !== undefined && head.replaces.length > 0 && step === undefined) return 'replacing';
  if (names.includes('run.json') && step !== 'clear') return 'finished';
  if (head !== undefined) return 'unfinished';
  return names.every(name => name === STATE) ? 'free' : 'foreign';
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    if (errnoOf(error) !== 'ENOTDIR') throw diskError(error, folder);
    const found = await stat(folder).catch(() => undefined);
    const sentence = found === undefined ? `${folder} lies inside a file` : `${folder} is a file, not a folder`;
    throw new TensorpressError('ARGUMENT', sentence, { hint: 'choose another folder with --out' });
  }
}

/**
 * Refuses to write over anything that the user has not given up; an unfinished run may go on.
 * @throws TensorpressError FINISHED
 */
export async function claimFolder(folder: string, force: boolean): Promise<FolderState> {
  const state = await folderState(folder);
  if (force || state === 'free' || state === 'unfinished') return state;
  const sentences = {
    foreign: `${folder} is not empty`,
    finished: `${folder} holds a finished run`,
    replacing: `${folder} still holds what an unfinished run was to replace with --force`,
  };
  throw new TensorpressError('FINISHED', sentences[state], {
    hint: 'choose another folder with --out, or replace what is there with --force',
  });
}

/** Weights and their index, whoever wrote them: a reader would take them for a part of the result. */
const WEIGHTS = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;

/**
 * What of a folder's content has to go when `files` take its place: all that this or an earlier run of tensorpress writes, and other weights.
 * Paths are relative to the folder, with slashes.
 * @param options.keep absolute paths of files that the run itself reads
 */
export async function standing(
  folder: string,
  { files, keep }: { files: readonly string[]; keep: readonly string[] },
): Promise<string[]> {
  const { head } = await readJournal(journalPath(folder));
  const places = new Set(files.map(file => dirname(file)));
  const weights: string[] = [];
  for (const place of places) {
    const names = await readdir(join(folder, place)).catch(() => []);
    weights.push(...names.filter(name => WEIGHTS.test(name)).map(name => (place === '.' ? name : `${place}/${name}`)));
  }
  const kept = new Set(await Promise.all(keep.map(path => realpath(path).catch(() => path))));
  const known = [
    ...files,
    ...weights,
    ...(await listedOutputs(folder)),
    ...(head?.files ?? []),
    ...(head?.replaces ?? []),
  ];
  const found: string[] = [];
  for (const path of new Set(known.filter(isInside))) {
    const full = join(folder, path);
    if (!(await exists(full)) && !(await exists(`${full}.partial`))) continue;
    if (!kept.has(await realpath(full).catch(() => full))) found.push(path);
  }
  return found.sort();
}

/** What an earlier run.json in the folder says that it wrote. */
async function listedOutputs(folder: string): Promise<string[]> {
  try {
    const { outputs } = JSON.parse(await readFile(join(folder, 'run.json'), 'utf8')) as {
      outputs?: { path: unknown }[];
    };
    return (outputs ?? []).flatMap(({ path }) => (typeof path === 'string' ? [path] : []));
  } catch {
    return []; // there is none, or it says nothing
  }
}

/** Whoever wrote a path down, it must lead to a file of the folder. */
function isInside(path: string): boolean {
  return !isAbsolute(path) && path.split(/[/\\]/).every(step => step !== '' && step !== '.' && step !== '..');
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Removes what an abandoned attempt had begun to write under names that this run does not use. */
export async function clearPartials(folder: string, { files, replaces }: JournalHead): Promise<void> {
  for (const path of replaces.filter(path => !files.includes(path))) {
    await remove(join(folder, `${path}.partial`));
  }
}

/** Removes what is replaced. run.json and config.json go first, so that nothing looks finished from then on. */
export async function clearOld(folder: string, replaces: readonly string[]): Promise<void> {
  const configs = replaces.filter(path => basename(path) === 'config.json');
  for (const path of ['run.json', 'config.json', ...configs]) await remove(join(folder, path));
  await syncFolder(folder);
  const folders = new Set(['.']);
  for (const path of replaces) {
    await remove(join(folder, path));
    for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at);
  }
  // inner ones first; one that holds something else stays
  for (const at of [...folders].sort().reverse()) {
    await syncFolder(join(folder, at));
    if (at !== '.') await rmdir(join(folder, at)).catch(() => {});
  }
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true }).catch((error: unknown) => Promise.reject(diskError(error, path)));
}
