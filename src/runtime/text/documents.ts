import { extname } from 'node:path';
import { isRecord } from '../../formats/records.js';
import type { ChatMessage } from './chat.js';
import { readLines, readText, refused, type TextFile } from './files.js';
import type { Tokenizer } from './tokenizer.js';

/** The tokens of one document. */
export interface Document {
  readonly ids: ArrayLike<number>;
  /** How it becomes rows: `row` as it is, `windows` whole windows only, `either` windows, or as it is when it is shorter than one. */
  readonly cut: 'row' | 'windows' | 'either';
}

export interface DocumentsOptions {
  /** Called when the file holds text. */
  readonly tokenizer: () => Promise<Tokenizer>;
  /** Rows of the model's embedding; every id is smaller. */
  readonly vocabulary: number;
  /** Takes one sentence for everything about the file that is worth knowing. */
  readonly note: (sentence: string) => void;
  /** Documents that come are not needed: the rest of the file is only read. */
  readonly enough: () => boolean;
}

/**
 * The documents of a file, in its order: `.json` token ids, `.txt` one document, `.jsonl` one per line (`text`, or `messages` through the chat
 * template). Nothing is added to them: a chat template writes its own special tokens, and only there are their names parsed.
 * @throws TensorpressError ARGUMENT naming the place
 */
export function documents(file: TextFile, options: DocumentsOptions): AsyncGenerator<Document> {
  switch (extname(file.path).toLowerCase()) {
    case '.json':
      return tokenRows(file, options);
    case '.txt':
      return plainText(file, options);
    case '.jsonl':
      return jsonLines(file, options);
    default:
      throw refused(
        file.path,
        `${file.name} is no kind of text that is known`,
        'give a .txt (one document), .jsonl (one document per line) or .json file (token ids)',
      );
  }
}

async function* plainText(file: TextFile, { tokenizer, note }: DocumentsOptions): AsyncGenerator<Document> {
  const { text, marked } = await readText(file);
  if (marked) note(`the byte order mark of ${file.name} is left out`);
  if (text.includes('\r\n')) note(`lines of ${file.name} end in CR LF; the CR is tokenized as it stands`);
  yield { ids: (await tokenizer()).encode(text), cut: 'windows' };
}

async function* tokenRows(file: TextFile, { vocabulary }: DocumentsOptions): AsyncGenerator<Document> {
  const { text } = await readText(file);
  const hint = 'give {"input_ids": [[...], ...]}, or text in a .txt or .jsonl file';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refused(file.path, `${file.name} is not JSON: ${(error as Error).message}`, hint, {}, error);
  }
  const rows = isRecord(value) ? value['input_ids'] : undefined;
  if (!Array.isArray(rows)) throw refused(file.path, `${file.name} has no list input_ids`, hint);
  for (const [i, row] of (rows as readonly unknown[]).entries()) {
    const path = `/input_ids/${i}`;
    if (!Array.isArray(row))
      throw refused(file.path, `row ${i} of ${file.name} is no list of token ids`, hint, { path });
    for (const [at, id] of (row as readonly unknown[]).entries()) {
      if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabulary) continue;
      throw refused(
        file.path,
        `row ${i} of ${file.name} holds ${JSON.stringify(id)} at position ${at}, which is no token id below ${vocabulary}`,
        'tokenize the text with the tokenizer of this model',
        { path: `${path}/${at}` },
      );
    }
    yield { ids: row as number[], cut: 'row' };
  }
}

async function* jsonLines(file: TextFile, { tokenizer: load, enough }: DocumentsOptions): AsyncGenerator<Document> {
  let tokenizer: Tokenizer | undefined;
  for await (const { line, text } of readLines(file)) {
    if (enough()) continue;
    const hint = 'every line is an object with `text`, or with `messages`';
    const wrong = (problem: string, cause?: unknown) =>
      refused(file.path, `${file.name}:${line} ${problem}`, hint, { line }, cause);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw wrong(`is not JSON: ${(error as Error).message}`, error);
    }
    if (!isRecord(value)) throw wrong('is not an object');
    const { text: plain, messages } = value;
    tokenizer ??= await load();
    if (typeof plain === 'string') {
      yield { ids: tokenizer.encode(plain), cut: 'either' };
    } else if (isMessages(messages)) {
      if (tokenizer.chat === undefined) throw wrong('holds messages, but the model has no chat template');
      yield { ids: tokenizer.encode(tokenizer.chat(messages), { specials: true }), cut: 'either' };
    } else {
      throw wrong(
        messages === undefined ? 'has no text and no messages' : 'has messages that are no list of turns with a role',
      );
    }
  }
}

function isMessages(value: unknown): value is ChatMessage[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every(turn => isRecord(turn) && typeof turn['role'] === 'string')
  );
}
