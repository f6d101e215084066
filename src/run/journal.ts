import { open, readFile } from 'node:fs/promises';
import { TensorpressError } from '../errors.js';
import { diskError, errnoOf, writeFully, writeWhole } from '../formats/files.js';
import type { SavedStates } from './calibrate/states.js';
import type { PartResult } from './execute.js';
import type { Fingerprint } from './fingerprint.js';

/** What a run is, before it has done anything. Paths are relative to the run folder. */
export interface JournalHead {
  readonly fingerprint: Fingerprint;
  /** Everything that the run will write. */
  readonly files: readonly string[];
  /** What stands in the folder already and is given up (`--force`), though not before all that replaces it is on the disk. */
  readonly replaces: readonly string[];
}

/** `clear`: what the run replaces is being removed. `name`: that is done, and files get their names. */
export type Step = 'clear' | 'name';

/**
 * What a run has made durable, one JSON line each, only ever appended: first what it is, then a line per finished part, then how far it has
 * got in taking the place of something. `streams` holds the hidden states of calibrated runs and is empty for runs that need no data.
 */
export type JournalLine =
  JournalHead | (PartResult & { readonly streams: readonly DurableStates[] }) | { readonly step: Step };

/** Hidden states that are on the disk. */
export type DurableStates = SavedStates & { readonly sha256: string };

export interface JournalContent {
  /** Undefined when no run has begun. */
  readonly head: JournalHead | undefined;
  readonly parts: ReadonlyMap<string, PartResult & { readonly streams: readonly DurableStates[] }>;
  /** The last one begun. */
  readonly step: Step | undefined;
  /** Bytes up to the end of the last whole line; what follows is a line that was torn by a crash, and counts for nothing. */
  readonly bytes: number;
}

/**
 * Reads a journal as far as it is whole; one that does not exist is empty.
 * @throws TensorpressError DISK
 */
export async function readJournal(path: string): Promise<JournalContent> {
  const data = await readFile(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw diskError(error, path);
  });
  const parts = new Map<string, PartResult & { readonly streams: readonly DurableStates[] }>();
  let head: JournalHead | undefined;
  let step: Step | undefined;
  let bytes = 0;
  for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, bytes)) {
    const line = parseLine(data.toString('utf8', bytes, end));
    if (line === undefined || 'fingerprint' in line !== (bytes === 0)) break;
    if ('fingerprint' in line) head = line;
    else if ('step' in line) step = line.step;
    else parts.set(line.part, line);
    bytes = end + 1;
  }
  return { head, parts, step, bytes };
}

function parseLine(text: string): JournalLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const known = ['fingerprint', 'part', 'step'];
    return value !== null && typeof value === 'object' && known.some(key => key in value)
      ? (value as JournalLine)
      : undefined;
  } catch {
    return undefined;
  }
}

export interface Journal {
  /** The line is on the disk when it resolves. */
  append(line: JournalLine): Promise<void>;
  close(): Promise<void>;
}

/** Puts a journal of these lines in the place of whatever is there, whole or not at all. */
export async function startJournal(path: string, lines: readonly JournalLine[]): Promise<void> {
  await writeWhole(path, lines.map(line => `${JSON.stringify(line)}\n`).join(''));
}

/** Opens a journal for appending after its last whole line. */
export async function openJournal(path: string): Promise<Journal> {
  const { bytes: end } = await readJournal(path);
  const failed = (error: unknown) => Promise.reject(diskError(error, path));
  const file = await open(path, 'r+').catch(failed);
  await file.truncate(end).catch(async (error: unknown) => {
    await file.close();
    return failed(error);
  });
  let at = end;
  return {
    async append(line) {
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      try {
        await writeFully(file, bytes, at, path);
        await file.datasync();
      } catch (error) {
        throw error instanceof TensorpressError ? error : diskError(error, path);
      }
      at += bytes.length;
    },
    close: () => file.close(),
  };
}
