import type { Stats } from 'node:fs';
import * as promises from 'node:fs/promises';
import { basename } from 'node:path';
import { TensorpressError } from '../errors.js';
import { roundHalfEven } from '../numerics/floats.js';
import { diskError, readFully, statFile, withFile, type ReadFs, type WriteFs } from './files.js';

/*
 * The `_logits_` files of llama-perplexity: a text, and for the tokens in the second half of each chunk the log probabilities of the whole
 * vocabulary before them, in 16 bits per token of it. Little endian, like the machines that tensorpress runs on.
 */
const MAGIC = '_logits_';
/** The magic, and three int32: context, vocabulary, chunks. */
const HEADER_BYTES = 20;
/** A float32 scale and a float32 minimum stand before the codes of a row. */
const ROW_HEADER_BYTES = 8;
/** Logits further below the largest are cut off. */
const DEPTH = 16;
const STEPS = 65535;
const BYTES_AT_ONCE = 1 << 22;

/** What was run through the model. */
export interface LogitsText {
  /** Tokens of a chunk. */
  readonly context: number;
  readonly vocabulary: number;
  readonly chunks: number;
  /** [chunks context], one chunk after the other. */
  readonly tokens: Int32Array;
}

export interface LogitsFile extends LogitsText {
  /** As messages show it. */
  readonly file: string;
  /**
   * Log probabilities [vocabulary] for each of `scoredTokens`, in their order; an array is valid until the next is asked for.
   * @throws TensorpressError TENSOR when the file cannot be read, has changed, or holds a damaged row
   */
  rows(): AsyncGenerator<Float32Array, void>;
}

/** Places in `tokens` of those that rows predict: of each chunk the last context - 1 - floor(context / 2). */
export function scoredTokens({ context, chunks }: Pick<LogitsText, 'context' | 'chunks'>): Int32Array {
  const first = Math.floor(context / 2) + 1;
  const places = new Int32Array(chunks * (context - first));
  for (let i = 0; i < places.length; i++) {
    const chunk = Math.floor(i / (context - first));
    places[i] = chunk * context + first + (i % (context - first));
  }
  return places;
}

/**
 * Reads header and tokens of a `_logits_` file and checks its length; no rows yet.
 * @throws TensorpressError TENSOR when the file cannot be read or is not whole
 */
export async function openLogits(path: string, { fs = promises }: { fs?: ReadFs } = {}): Promise<LogitsFile> {
  const file = basename(path);
  const stats = await statFile(path, file, fs);
  const text = await withFile(path, { file, fs }, async handle => {
    const header = new Uint8Array(HEADER_BYTES);
    const { context, vocabulary, chunks } = parseHeader(header.subarray(0, await readFully(handle, header, 0)), file);
    const expected = fileBytes({ context, vocabulary, chunks });
    if (stats.size !== expected) {
      throw damaged(file, `holds ${stats.size} bytes, but its header announces ${expected}`);
    }
    const tokens = new Int32Array(chunks * context);
    if ((await readFully(handle, new Uint8Array(tokens.buffer), HEADER_BYTES)) < tokens.byteLength) throw changed(file);
    const wrong = tokens.find(token => token < 0 || token >= vocabulary);
    if (wrong !== undefined)
      throw damaged(file, `holds the token ${wrong}, outside of its vocabulary of ${vocabulary}`);
    return { context, vocabulary, chunks, tokens };
  });
  return { ...text, file, rows: () => readRows(path, { ...text, file, stats, fs }) };
}

/**
 * Writes a `_logits_` file, which has its name only once it is complete.
 * @param rows logits or log probabilities [vocabulary] for each of `scoredTokens`, in their order
 * @throws TensorpressError DISK; INTERNAL when rows are missing or of another width
 */
export async function writeLogits(
  path: string,
  text: LogitsText,
  rows: AsyncIterable<Float32Array> | Iterable<Float32Array>,
  { fs = promises }: { fs?: WriteFs } = {},
): Promise<void> {
  const partial = `${path}.partial`;
  try {
    const handle = await fs.open(partial, 'w');
    try {
      await handle.writeFile(encodeText(text));
      const bytes = new Uint8Array(rowBytes(text.vocabulary));
      let count = 0;
      for await (const row of rows) {
        encodeRow(row, bytes);
        await handle.writeFile(bytes);
        count++;
      }
      const expected = scoredTokens(text).length;
      if (count !== expected)
        throw new TensorpressError('INTERNAL', `${count} rows of logits were given, not ${expected}`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(partial, path);
  } catch (error) {
    await fs.rm(partial, { force: true }).catch(() => {});
    throw error instanceof TensorpressError ? error : diskError(error, basename(path));
  }
}

/** Header and tokens. */
function encodeText({ context, vocabulary, chunks, tokens }: LogitsText): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + tokens.byteLength);
  bytes.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(bytes.buffer);
  [context, vocabulary, chunks].forEach((n, i) => view.setInt32(MAGIC.length + 4 * i, n, true));
  tokens.forEach((token, i) => view.setInt32(HEADER_BYTES + 4 * i, token, true));
  return bytes;
}

/** Codes of a row of logits, whose zero does not matter, in the arithmetic of llama-perplexity: float32, the sum of exponentials in float64. */
function encodeRow(logits: Float32Array, bytes: Uint8Array): void {
  if (rowBytes(logits.length) !== bytes.length) {
    throw new TensorpressError('INTERNAL', `a row of ${logits.length} logits has another width than its file`);
  }
  let [max, least] = [-Infinity, Infinity];
  for (const logit of logits) {
    max = Math.max(max, logit);
    least = Math.min(least, logit);
  }
  const min = Math.max(least, Math.fround(max - DEPTH));
  let sum = 0;
  for (const logit of logits) sum += Math.fround(Math.exp(Math.fround(logit - max)));
  const scale = Math.fround(Math.fround(max - min) / STEPS);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setFloat32(0, scale, true);
  view.setFloat32(4, Math.fround(min - max) - Math.fround(Math.log(sum)), true);
  for (let v = 0; v < logits.length; v++) {
    const above = Math.fround(logits[v]! - min);
    view.setUint16(ROW_HEADER_BYTES + 2 * v, above > 0 ? Math.min(STEPS, roundHalfEven(above / scale)) : 0, true);
  }
}

interface Opened extends LogitsText {
  readonly file: string;
  readonly stats: Stats;
  readonly fs: ReadFs;
}

async function* readRows(path: string, opened: Opened): AsyncGenerator<Float32Array, void> {
  const { file, vocabulary, chunks, context, stats, fs } = opened;
  const count = scoredTokens({ context, chunks }).length;
  const size = rowBytes(vocabulary);
  const begin = fileBytes({ context, vocabulary, chunks }) - count * size;
  const memory = new Uint8Array(size * Math.min(count, Math.max(1, Math.floor(BYTES_AT_ONCE / size))));
  const row = new Float32Array(vocabulary);
  for (let from = 0; from < count; from += memory.length / size) {
    const bytes = memory.subarray(0, Math.min(memory.length, (count - from) * size));
    await withFile(path, { file, fs }, async handle => {
      const now = await handle.stat();
      if (now.size !== stats.size || now.mtimeMs !== stats.mtimeMs) throw changed(file);
      if ((await readFully(handle, bytes, begin + from * size)) < bytes.length) throw changed(file);
    });
    for (let at = 0; at < bytes.length; at += size) {
      const [scale, min] = new Float32Array(bytes.buffer, at, 2) as unknown as [number, number];
      if (!(Number.isFinite(scale) && scale >= 0 && Number.isFinite(min))) {
        throw damaged(
          file,
          `holds no probabilities in row ${from + at / size}: its scale is ${scale}, its minimum ${min}`,
        );
      }
      const codes = new Uint16Array(bytes.buffer, at + ROW_HEADER_BYTES, vocabulary);
      for (let v = 0; v < vocabulary; v++) row[v] = Math.fround(scale * codes[v]!) + min;
      yield row;
    }
  }
}

function parseHeader(bytes: Uint8Array, file: string): Pick<LogitsText, 'context' | 'vocabulary' | 'chunks'> {
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw damaged(file, `does not begin with ${MAGIC}, as files of logits do`);
  if (bytes.length < HEADER_BYTES) {
    throw damaged(file, `ends after ${bytes.length} bytes, as it does when the text was too short for one chunk`, {
      hint: 'run llama-perplexity with a longer text, or a smaller context (-c)',
    });
  }
  const view = new DataView(bytes.buffer);
  const [context, vocabulary, chunks] = [0, 4, 8].map(at => view.getInt32(MAGIC.length + at, true)) as [
    number,
    number,
    number,
  ];
  if (context < 3) throw damaged(file, `has a context of ${context} tokens; the least is 3`);
  if (vocabulary < 1) throw damaged(file, `has a vocabulary of ${vocabulary}`);
  if (chunks < 1) throw damaged(file, `has ${chunks} chunks`);
  return { context, vocabulary, chunks };
}

/** An odd vocabulary leaves the last two bytes unused. */
const rowBytes = (vocabulary: number) => ROW_HEADER_BYTES + 4 * Math.floor((vocabulary + 1) / 2);

function fileBytes({ context, vocabulary, chunks }: Pick<LogitsText, 'context' | 'vocabulary' | 'chunks'>): number {
  const scored = chunks * (context - 1 - Math.floor(context / 2));
  return HEADER_BYTES + 4 * chunks * context + scored * rowBytes(vocabulary);
}

function damaged(
  file: string,
  problem: string,
  { hint = 'write it again: llama-perplexity --kl-divergence-base FILE' }: { hint?: string } = {},
): TensorpressError {
  return new TensorpressError('TENSOR', `${file} ${problem}`, { place: { file }, hint });
}

function changed(file: string): TensorpressError {
  return damaged(file, 'has changed since it was opened', { hint: 'leave it alone while it is read' });
}
