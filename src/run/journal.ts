import { open, readFile, type FileHandle } from 'node:fs/promises';
import { diskError } from '../formats/files.js';
import type { PartResult } from './execute.js';
import type { Fingerprint } from './fingerprint.js';

/**
 * What a run has made durable, one JSON line each, only ever appended: first the fingerprint of the run, then a line per finished part.
 * `streams` holds the hidden states of calibrated runs and is empty for runs that need no data.
 */
export type JournalLine =
  { readonly fingerprint: Fingerprint } | (PartResult & { readonly streams: readonly unknown[] });

export interface JournalContent {
  readonly fingerprint: Fingerprint | undefined;
  readonly parts: ReadonlyMap<string, PartResult>;
  /** Bytes up to the end of the last whole line; what follows is a line that was torn by a crash, and counts for nothing. */
  readonly bytes: number;
}

/** Reads a journal as far as it is whole. */
export async function readJournal(path: string): Promise<JournalContent> {
  const data = await readFile(path).catch(() => Buffer.alloc(0));
  const parts = new Map<string, PartResult>();
  let fingerprint: Fingerprint | undefined;
  let bytes = 0;
  for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, bytes)) {
    const line = parseLine(data.toString('utf8', bytes, end));
    if (line === undefined) break;
    if ('fingerprint' in line) fingerprint = line.fingerprint;
    else parts.set(line.part, line);
    bytes = end + 1;
  }
  return { fingerprint, parts, bytes };
}

function parseLine(text: string): JournalLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && ('fingerprint' in value || 'part' in value)
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

/** Opens a journal for appending after its first `keep` bytes. */
export async function openJournal(path: string, keep: number): Promise<Journal> {
  let file: FileHandle;
  try {
    file = await open(path, keep > 0 ? 'r+' : 'w');
    await file.truncate(keep);
  } catch (error) {
    throw diskError(error, path);
  }
  let at = keep;
  return {
    async append(line) {
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      try {
        await file.write(bytes, 0, bytes.length, at);
        await file.datasync();
      } catch (error) {
        throw diskError(error, path);
      }
      at += bytes.length;
    },
    close: () => file.close(),
  };
}
