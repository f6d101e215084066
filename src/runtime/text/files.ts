import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import * as promises from 'node:fs/promises';
import { basename } from 'node:path';
import { TensorpressError, type Place } from '../../errors.js';
import { readError } from '../../formats/files.js';
import { printable } from '../../formats/printable.js';
import { firstInvalidByte } from './utf8.js';

export type TextFs = Pick<typeof promises, 'open'>;

/** A file of texts or token ids while it is read, and what is known of it afterwards. */
export interface TextFile {
  readonly path: string;
  /** As messages call it. */
  readonly name: string;
  /** The bytes, in chunks; read them to the end before `sha256`. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Of the bytes read. */
  sha256(): string;
  bytes(): number;
}

/** A file that is held whole may be this large; V8's strings end at twice that. */
const MAX_WHOLE = 1 << 28;
const CHUNK = 1 << 20;
const NEWLINE = 0x0a;

/** Opens nothing yet: the file is opened, and closed, by the loop over its chunks. */
export function textFile(path: string, fs: TextFs = promises): TextFile {
  const hash = createHash('sha256');
  const name = printable(basename(path));
  let bytes = 0;
  async function* chunks() {
    const handle = await fs.open(path, 'r').catch((error: unknown) => Promise.reject(unreadable(error, path, name)));
    try {
      if (!(await handle.stat()).isFile())
        throw refused(path, `${name} is not a file`, 'give a .txt, .jsonl or .json file');
      for (;;) {
        const buffer = Buffer.allocUnsafe(CHUNK);
        const { bytesRead } = await handle.read(buffer, 0, CHUNK, bytes);
        if (bytesRead === 0) return;
        const chunk = buffer.subarray(0, bytesRead);
        hash.update(chunk);
        bytes += bytesRead;
        yield chunk;
      }
    } catch (error) {
      throw error instanceof TensorpressError ? error : unreadable(error, path, name);
    } finally {
      await handle.close();
    }
  }
  return { path, name, chunks: chunks(), sha256: () => hash.copy().digest('hex'), bytes: () => bytes };
}

/** A file that cannot be used, in the words of whoever gave it. */
export function refused(
  path: string,
  message: string,
  hint: string,
  place: Place = {},
  cause?: unknown,
): TensorpressError {
  return new TensorpressError('ARGUMENT', message, { place: { file: path, ...place }, hint, cause });
}

function unreadable(error: unknown, path: string, name: string): TensorpressError {
  const { message } = readError(error, name);
  return refused(path, message, 'check the path and the permissions of the file', {}, error);
}

/**
 * The whole file as text, without its byte order mark.
 * @throws TensorpressError ARGUMENT when it is empty, too large, or not UTF-8
 */
export async function readText(file: TextFile): Promise<{ text: string; marked: boolean }> {
  const chunks: Buffer[] = [];
  for await (const chunk of file.chunks) {
    chunks.push(chunk);
    if (file.bytes() > MAX_WHOLE) {
      throw refused(
        file.path,
        `${file.name} is larger than 256 MB`,
        'split it into documents, one per line of a .jsonl file',
      );
    }
  }
  const bytes = Buffer.concat(chunks);
  if (!isUtf8(bytes)) throw notUtf8(file, bytes, 0);
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  if (bytes.length === (marked ? 3 : 0)) throw refused(file.path, `${file.name} is empty`, 'give a file with text');
  return { text: bytes.toString('utf8', marked ? 3 : 0), marked };
}

/** The lines of the file that hold more than white space, with their numbers from 1; without the byte order mark. */
export async function* readLines(file: TextFile): AsyncGenerator<{ line: number; text: string }> {
  let rest: Buffer[] = []; // of a line that goes on in the next chunk
  let line = 0;
  let offset = 0;
  const take = (last: Buffer) => {
    const bytes = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    line += 1;
    if (!isUtf8(bytes)) throw notUtf8(file, bytes, offset, line);
    offset += bytes.length + 1;
    const text = bytes.toString('utf8');
    return line === 1 ? text.replace(/^\ufeff/, '') : text;
  };
  for await (const chunk of file.chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const text = take(chunk.subarray(start, end));
      if (text.trim() !== '') yield { line, text };
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  if (rest.length > 0) {
    const text = take(Buffer.alloc(0));
    if (text.trim() !== '') yield { line, text };
  }
}

function notUtf8(file: TextFile, bytes: Uint8Array, offset: number, line?: number): TensorpressError {
  const at = offset + firstInvalidByte(bytes);
  return refused(
    file.path,
    `${file.name} is not UTF-8 at byte ${at}`,
    'save the file as UTF-8',
    line === undefined ? {} : { line },
  );
}
