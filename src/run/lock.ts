import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TensorpressError } from '../errors.js';
import { diskError, errnoOf } from '../formats/files.js';

/** Where an unfinished run keeps its state, inside the run folder. */
export const STATE = '.tensorpress';

/** A live run's claim on its folder: the process and when it started, so that a number that was given to another process is told apart. */
interface Owner {
  readonly pid: number;
  readonly started: string;
}

export interface Lock {
  release(): Promise<void>;
}

/**
 * Claims a run folder for this process.
 * @throws TensorpressError FINISHED when a live run has it, DISK when it cannot be written
 */
export async function lockFolder(folder: string): Promise<Lock> {
  const path = lockPath(folder);
  await mkdir(join(folder, STATE), { recursive: true }).catch((error: unknown) =>
    Promise.reject(diskError(error, folder)),
  );
  const mine = `${path}.${process.pid}.${randomUUID()}`;
  try {
    // a link appears with its content, or not at all
    await writeFile(mine, JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner));
    while (!(await linked(mine, path))) {
      const owner = parseOwner(await readFile(path, 'utf8').catch(() => ''));
      if (owner !== undefined && isAlive(owner)) throw heldBy(owner, folder);
      await takeAway(path, owner);
    }
  } catch (error) {
    throw error instanceof TensorpressError ? error : diskError(error, folder);
  } finally {
    await rm(mine, { force: true });
  }
  return { release: () => rm(path, { force: true }) };
}

function heldBy({ pid }: Owner, folder: string): TensorpressError {
  return new TensorpressError('FINISHED', `another run is writing to ${folder} (process ${pid})`, {
    hint: 'wait for it, stop it, or choose another folder with --out',
  });
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the claim of a dead run, unless somebody else has replaced it in the meantime. */
async function takeAway(path: string, dead: Owner | undefined): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  const owner = parseOwner(await readFile(aside, 'utf8').catch(() => ''));
  if (owner !== undefined && JSON.stringify(owner) !== JSON.stringify(dead)) await linked(aside, path);
  await rm(aside, { force: true });
}

/** Takes back the claim of this process, whose worker was ended and could not do it. */
export function releaseOwnLock(folder: string): void {
  const path = lockPath(folder);
  try {
    if (parseOwner(readFileSync(path, 'utf8'))?.pid === process.pid) rmSync(path, { force: true });
  } catch {
    // there is none
  }
}

const lockPath = (folder: string) => join(folder, STATE, 'lock');

function parseOwner(text: string): Owner | undefined {
  try {
    const value = JSON.parse(text) as Partial<Owner> | null;
    return typeof value?.pid === 'number' && typeof value.started === 'string'
      ? { pid: value.pid, started: value.started }
      : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return now === '' || started === '' || now === started;
}

/** When a process was started, in ticks since boot; empty where the system does not tell. */
function startOf(pid: number): string {
  try {
    // the name in parentheses may hold anything; the start time is the 20th field after it
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
