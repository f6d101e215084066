import type { Hash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { TensorpressError } from '../../errors.js';
import { diskError, writeFully } from '../../formats/files.js';
import { stopped } from './hub-request.js';

export interface RemoteFile {
  readonly name: string;
  readonly url: string;
  readonly bytes: number;
  readonly hash?: { readonly expected: string; start(): Hash };
}

export interface DownloadOptions {
  /** Fails with a TensorpressError; 416 is an answer. */
  readonly get: (url: string, headers: Readonly<Record<string, string>>) => Promise<Response>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { file: string; bytes: number; total: number }) => void;
  /** Default: a timer. */
  readonly wait?: (milliseconds: number) => Promise<void>;
}

/** Attempts in a row that brought nothing, before it gives up. */
const MAX_FAILURES = 4;
const REPORT_EVERY = 1 << 20;

/**
 * Downloads a file to `target`, continuing `target.part` if there is one. The target appears only when size and hash are right.
 * @throws TensorpressError NETWORK, DISK, INTERRUPTED; what came is kept for the next call, unless it is damaged
 */
export async function downloadFile(file: RemoteFile, target: string, options: DownloadOptions): Promise<void> {
  const { signal, onProgress, wait = (ms: number) => setTimeout(ms, undefined, signal && { signal }) } = options;
  const { name, bytes: total } = file;
  if ((await sizeOf(target)) === total) return;
  const part = `${target}.part`;
  const state = await openPart(part, file);
  let failures = 0;
  try {
    while (state.done < total) {
      const before = state.done;
      try {
        await receive(file, state, options);
      } catch (error) {
        if (signal?.aborted) throw stopped(name);
        if (!(error instanceof TensorpressError) || error.code !== 'NETWORK') throw error;
        failures = state.done > before ? 0 : failures + 1;
        if (failures >= MAX_FAILURES) throw error;
        await wait(1000 * 2 ** failures).catch(() => {});
        if (signal?.aborted) throw stopped(name);
      }
    }
    await state.handle.sync();
  } catch (error) {
    throw error instanceof TensorpressError ? error : diskError(error, part);
  } finally {
    await state.handle.close();
  }
  if (file.hash !== undefined && state.hash?.digest('hex') !== file.hash.expected) {
    await fs.rm(part, { force: true });
    throw new TensorpressError('NETWORK', `${name} came damaged: its checksum is not the one that the hub gives`, {
      place: { file: part },
      hint: 'run the same command again: this file is fetched anew',
    });
  }
  await fs.rename(part, target);
  onProgress?.({ file: name, bytes: total, total });
}

interface Part {
  readonly handle: fs.FileHandle;
  done: number;
  hash: Hash | undefined;
}

/** What an earlier call left, hashed up to its end; from the start if it is longer than the file. */
async function openPart(path: string, { bytes, hash }: RemoteFile): Promise<Part> {
  const size = (await sizeOf(path)) ?? 0;
  try {
    const handle = await fs.open(path, size > 0 ? 'r+' : 'w+');
    const part: Part = { handle, done: 0, hash: hash?.start() };
    if (size > bytes) {
      await handle.truncate(0);
    } else if (size > 0) {
      for await (const chunk of handle.createReadStream({ start: 0, end: size - 1, autoClose: false }))
        part.hash?.update(chunk as Buffer);
      part.done = size;
    }
    return part;
  } catch (error) {
    throw diskError(error, path);
  }
}

/** One request: writes what it brings behind what is there, and starts over where the server does not continue. */
async function receive(
  { name, url, bytes: total, hash }: RemoteFile,
  part: Part,
  { get, onProgress }: DownloadOptions,
): Promise<void> {
  const from = part.done;
  const response = await get(url, from > 0 ? { Range: `bytes=${from}-` } : {});
  const continues =
    response.status === 206 && response.headers.get('Content-Range')?.startsWith(`bytes ${from}-`) === true;
  if (from > 0 && !continues) {
    await part.handle.truncate(0);
    Object.assign(part, { done: 0, hash: hash?.start() });
  }
  if (response.status === 416 || (response.status === 206 && !continues)) {
    await response.body?.cancel().catch(() => {});
    throw broken(name, 'the server does not continue where it stopped');
  }
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  let reported = part.done;
  while (reader !== undefined) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw broken(name, 'the connection broke off', error);
    });
    if (done) break;
    if (part.done + value.length > total) {
      await reader.cancel().catch(() => {});
      await part.handle.truncate(0);
      Object.assign(part, { done: 0, hash: hash?.start() });
      throw broken(name, `it is longer than the ${total} bytes that the hub gives`);
    }
    await writeFully(part.handle, value, part.done, name);
    part.hash?.update(value);
    part.done += value.length;
    if (part.done - reported >= REPORT_EVERY) {
      reported = part.done;
      onProgress?.({ file: name, bytes: part.done, total });
    }
  }
  if (part.done < total) throw broken(name, `it ended after ${part.done} of ${total} bytes`);
}

function broken(name: string, why: string, cause?: unknown): TensorpressError {
  return new TensorpressError('NETWORK', `${basename(name)} could not be fetched: ${why}`, {
    hint: 'run the same command again: it continues where it stopped',
    cause,
  });
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await fs.stat(path).then(
    stats => stats.size,
    () => undefined,
  );
}
