import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TensorpressError } from '../errors.js';
import { diskError, errnoOf, makeFolders } from '../formats/files.js';

/** Where an unfinished run keeps its state, inside the run folder. */
export const STATE = '.tensorpress';

/** Where hidden states lie while a run is calibrated. */
export const hiddenFolder = (folder: string): string => join(folder, STATE, 'hidden');

/** A claim on a run folder: data, so that one thread can take it and another one give it back. */
export interface Lock {
  readonly folder: string;
  /** Name of its file in STATE; it says everything: process, when that started, and a token that no other claim has. */
  readonly file: string;
  /** The uppermost folder that has to be made for it. */
  readonly missing: string | undefined;
}

/** How often it is tried, since two that start at the same instant see each other and both step back. */
const ATTEMPTS = 8;

/** A claim of this process; nothing is written yet. */
export function newLock(folder: string): Lock {
  const started = lifeOf(process.pid)?.started ?? '';
  let missing: string | undefined;
  for (let at = folder; !existsSync(at); at = dirname(at)) missing = at;
  return { folder, file: `lock.${process.pid}.${started}.${randomBytes(6).toString('hex')}`, missing };
}

/**
 * Takes a claim: its file is put into the folder, and stays if it is the only one there of a living process. Nobody ever removes a file of
 * a process that lives, and no two claims share a name, so two runs cannot both go on.
 * @throws TensorpressError FINISHED when a live run has the folder, DISK when it cannot be written
 */
export async function lockFolder({ folder, file }: Lock): Promise<void> {
  const state = join(folder, STATE);
  for (let attempt = 1; ; attempt++) {
    try {
      await makeFolders(state);
      await writeFile(join(state, file), '');
      const rival = await findRival(state, file);
      if (rival === undefined) return;
      await rm(join(state, file), { force: true });
      if (attempt === ATTEMPTS) throw heldBy(rival, folder);
    } catch (error) {
      // another run that ended may have removed the folder meanwhile
      if (errnoOf(error) === 'ENOENT' && attempt < ATTEMPTS) continue;
      throw error instanceof TensorpressError ? error : diskError(error, folder);
    }
    await sleep(10 + Math.random() * 80);
  }
}

/** Gives a claim back, taken or not, and with it every folder that was made for it and holds nothing. */
export function releaseLock({ folder, file, missing }: Lock): void {
  const state = join(folder, STATE);
  try {
    rmSync(join(state, file), { force: true });
    rmdirSync(state);
    if (missing === undefined) return;
    for (let at = folder; at.length >= missing.length; at = dirname(at)) rmdirSync(at);
  } catch {
    // something is in there: it stays
  }
}

interface Owner {
  readonly pid: number;
  readonly started: string;
}

/** The process of another claim; claims of dead ones are removed. */
async function findRival(state: string, own: string): Promise<number | undefined> {
  for (const name of await readdir(state)) {
    const [, pid, started] = /^lock\.(\d+)\.(\d*)\.[0-9a-f]+$/.exec(name) ?? [];
    if (name === own || pid === undefined) continue;
    if (isAlive({ pid: Number(pid), started: started! })) return Number(pid);
    await rm(join(state, name), { force: true });
  }
  return undefined;
}

function heldBy(pid: number, folder: string): TensorpressError {
  return new TensorpressError('FINISHED', `another run is writing to ${folder} (process ${pid})`, {
    hint: 'wait for it, stop it, or choose another folder with --out',
  });
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false;
  }
  const life = lifeOf(pid);
  if (life === undefined) return true;
  // a zombie has ended; another start time means that the number was given away again
  return life.state !== 'Z' && life.state !== 'X' && (started === '' || life.started === started);
}

/** State of a process, and when it was started, in ticks since boot; undefined where the system does not tell. */
function lifeOf(pid: number): { state: string; started: string } | undefined {
  try {
    // the name in parentheses may hold anything; after it come the state and, as the 20th field, the start
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, started: fields[19]! };
  } catch {
    return undefined;
  }
}
