import { createHash } from 'node:crypto';
import { TensorpressError } from '../../errors.js';
import { random } from '../../numerics/random.js';
import { documents, type DocumentsOptions } from './documents.js';
import { refused, textFile, type TextFile, type TextFs } from './files.js';
import { drawnRows, firstRows, type Selection } from './selection.js';

/** A row of tokens that runs through the model by itself. */
export interface Row {
  readonly ids: Int32Array;
  /** Position of the first token that is scored; those before it are context. */
  readonly scoredFrom: number;
}

/** What a file of texts became. */
export interface TokenRows {
  readonly rows: readonly Row[];
  /** Of all rows. */
  readonly tokens: number;
  /** One sentence for everything that was cut, left out or changed. */
  readonly notes: readonly string[];
  readonly file: { readonly path: string; readonly sha256: string; readonly bytes: number };
  /** SHA-256 over the rows in their order: for each its length, its first scored position and its ids, as little-endian int32. */
  readonly sha256: string;
}

export interface TextOptions extends Pick<DocumentsOptions, 'tokenizer' | 'vocabulary'> {
  /** Default: node:fs/promises. */
  readonly fs?: TextFs;
}

export interface EvaluationOptions extends TextOptions {
  /** Tokens of a window. */
  readonly context: number;
  /** Tokens from one window to the next; of windows that overlap only the last `stride` tokens are scored. Default: `context`. */
  readonly stride?: number;
  /** Windows to use, at most. Default: all. */
  readonly windows?: number;
}

export interface CalibrationOptions extends TextOptions {
  /** Tokens of a row, at most. */
  readonly sequenceLength: number;
  /** Rows to use, at most. Default: all. */
  readonly samples?: number;
  /** Draw the rows in random order instead of the order of the file. Default: false. */
  readonly shuffle?: boolean;
  /** Of the shuffle. Default: 0. */
  readonly seed?: number;
}

/**
 * Rows for a perplexity: whole windows of `context` tokens, one after the other; token rows of a .json, and documents of a .jsonl that are
 * shorter than a window, are windows of their own. The first token of a text has no context and is never scored.
 * @throws TensorpressError ARGUMENT when the file cannot be used or gives no row
 */
export async function evaluationRows(path: string, options: EvaluationOptions): Promise<TokenRows> {
  const { context, stride = context, windows = Infinity } = options;
  checkCounts({ context, stride, windows });
  if (context < 2) throw wrongOption('context', context, '2 at least: the first token of a window is not scored');
  if (stride > context)
    throw wrongOption('stride', stride, `at most the context of ${context}, or tokens would be skipped`);
  return await collect(path, options, {
    length: context,
    stride,
    shortest: 2,
    lengthOption: 'context',
    selection: firstRows(windows),
  });
}

/**
 * Rows for calibration: as for evaluation, in windows that do not overlap; in random order where asked. The order is that of keys drawn from
 * the stream (seed, 'calibration'), one for each row in the order of the file.
 * @throws TensorpressError ARGUMENT when the file cannot be used or gives no row
 */
export async function calibrationRows(path: string, options: CalibrationOptions): Promise<TokenRows> {
  const { sequenceLength, samples = Infinity, shuffle = false, seed = 0 } = options;
  checkCounts({ sequenceLength, samples });
  return await collect(path, options, {
    length: sequenceLength,
    stride: sequenceLength,
    shortest: 1,
    lengthOption: 'sequence_length',
    selection: shuffle ? drawnRows(samples, random(seed, 'calibration')) : firstRows(samples),
  });
}

interface Cutting {
  readonly length: number;
  readonly stride: number;
  /** Shorter rows are of no use. */
  readonly shortest: number;
  readonly lengthOption: string;
  readonly selection: Selection;
}

/** What was left out, counted while reading. */
interface Losses {
  /** Rows cut to the length, and the tokens that this cost. */
  cutRows: number;
  cutTokens: number;
  /** Documents whose end fills no window, and its tokens. */
  ends: number;
  endTokens: number;
  /** Rows and documents with too few tokens. */
  tooShort: number;
  /** Tokens of the longest document that fills no window. */
  longest: number;
}

async function collect(path: string, { tokenizer, vocabulary, fs }: TextOptions, cutting: Cutting): Promise<TokenRows> {
  const { length, selection } = cutting;
  const file = textFile(path, fs);
  const notes: string[] = [];
  const losses: Losses = { cutRows: 0, cutTokens: 0, ends: 0, endTokens: 0, tooShort: 0, longest: 0 };

  // The file is read to its end in any case: its hash belongs to the record.
  const source = documents(file, {
    tokenizer,
    vocabulary,
    note: note => notes.push(note),
    enough: () => selection.full(),
  });
  for await (const { ids, cut } of source) {
    for (const row of rowsOf(ids, cut, cutting, losses)) selection.offer(row);
  }

  const { rows, note } = selection.finish(file.name);
  if (rows.length === 0) throw noRows(file, losses, cutting);
  notes.push(...sentences(file.name, length, losses), ...(note === undefined ? [] : [note]));
  return {
    rows,
    tokens: rows.reduce((sum, { ids }) => sum + ids.length, 0),
    notes,
    file: { path, sha256: file.sha256(), bytes: file.bytes() },
    sha256: hashRows(rows),
  };
}

function* rowsOf(
  ids: ArrayLike<number>,
  cut: 'row' | 'windows' | 'either',
  c: Cutting,
  losses: Losses,
): Generator<Row> {
  if (cut === 'row' || (cut === 'either' && ids.length < c.length)) {
    if (ids.length < c.shortest) {
      losses.tooShort += 1;
      return;
    }
    if (ids.length > c.length) {
      losses.cutRows += 1;
      losses.cutTokens += ids.length - c.length;
    }
    yield { ids: slice(ids, 0, Math.min(ids.length, c.length)), scoredFrom: 1 };
    return;
  }
  let end = 0;
  for (let start = 0; start + c.length <= ids.length; start += c.stride) {
    end = start + c.length;
    const overlap = start === 0 ? 0 : c.length - c.stride;
    yield { ids: slice(ids, start, end), scoredFrom: Math.max(1, overlap) };
  }
  if (end === 0) losses.longest = Math.max(losses.longest, ids.length);
  if (end < ids.length) {
    losses.ends += 1;
    losses.endTokens += ids.length - end;
  }
}

function slice(ids: ArrayLike<number>, start: number, end: number): Int32Array {
  const row = new Int32Array(end - start);
  for (let i = start; i < end; i += 1) row[i - start] = ids[i]!;
  return row;
}

function sentences(name: string, length: number, losses: Losses): string[] {
  const { cutRows, cutTokens, ends, endTokens, tooShort } = losses;
  const found: string[] = [];
  if (cutRows > 0)
    found.push(
      `${counted(cutRows, 'row')} of ${name} ${are(cutRows)} cut to ${length} tokens: ${cutTokens} ${are(cutTokens)} left out`,
    );
  if (ends > 0)
    found.push(
      `${counted(endTokens, 'token')} of ${name} at the end of ${counted(ends, 'document')} ${endTokens === 1 ? 'fills' : 'fill'} no window of ${length} and ${are(endTokens)} left out`,
    );
  if (tooShort > 0) found.push(`${counted(tooShort, 'row')} of ${name} with too few tokens ${are(tooShort)} left out`);
  return found;
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

function are(count: number): string {
  return count === 1 ? 'is' : 'are';
}

function noRows(file: TextFile, { longest }: Losses, { length, lengthOption }: Cutting): TensorpressError {
  if (longest === 0)
    return refused(file.path, `${file.name} holds no tokens to run`, 'give a file with text or token ids');
  return refused(
    file.path,
    `${file.name} has ${counted(longest, 'token')}, fewer than one window of ${length}`,
    `set ${lengthOption} to ${longest} or less, or give a longer text`,
  );
}

/** SHA-256 over rows in their order, as in `TokenRows`. */
export function hashRows(rows: readonly Row[]): string {
  const hash = createHash('sha256');
  for (const { ids, scoredFrom } of rows) {
    hash.update(Int32Array.of(ids.length, scoredFrom)).update(ids);
  }
  return hash.digest('hex');
}

function checkCounts(counts: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (value !== Infinity && !(Number.isSafeInteger(value) && value > 0))
      throw wrongOption(name, value, 'a whole number, 1 or more');
  }
}

function wrongOption(name: string, value: number, expected: string): TensorpressError {
  return new TensorpressError('ARGUMENT', `${name} is ${value}, expected ${expected}`, { hint: `change ${name}` });
}
