import { splitter, type AddedToken } from './added-tokens.js';
import { mergePairs } from './bpe.js';
import { byteIds, joinBytes } from './byte-fallback.js';
import { normalizeLongest, readCharsmap } from './charsmap.js';
import { lazyCutter, unigramEncoder, type Refuse } from './models.js';
import type { Pipeline } from './pipeline.js';
import { readFields } from './protobuf.js';
import { unigram } from './unigram.js';

/** What a SentencePiece `tokenizer.model` says, as far as tokenizing goes. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly algorithm: 'unigram' | 'bpe';
  readonly byteFallback: boolean;
  readonly unknown: number;
  readonly bos: number;
  readonly eos: number;
  readonly spaceAfter: boolean;
  readonly charsmap: Uint8Array;
  readonly dummyPrefix: boolean;
  readonly collapseSpaces: boolean;
  readonly escapeSpaces: boolean;
}

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}

const [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED] = [1, 2, 3, 4, 5];
const ALGORITHMS: Readonly<Record<number, string>> = { 1: 'unigram', 2: 'bpe', 3: 'word', 4: 'char' };
const MARK = '\u2581';

/**
 * Reads a `tokenizer.model`: a protocol buffer with the pieces (field 1), how it was trained (2) and how text is normalized (3).
 * Fields that are left out have the defaults of sentencepiece_model.proto.
 */
export function readSentencePiece(file: Uint8Array, refuse: Refuse): SentencePieceModel {
  const pieces: Piece[] = [];
  let algorithm = 1;
  const found = { byteFallback: false, unknown: 0, bos: 1, eos: 2, spaceAfter: false };
  const normalizer = { charsmap: new Uint8Array(0), dummyPrefix: true, collapseSpaces: true, escapeSpaces: true };
  try {
    for (const { number, bytes } of readFields(file)) {
      if (number === 1) pieces.push(readPiece(bytes));
      if (number === 2) {
        for (const field of readFields(bytes)) {
          if (field.number === 3) algorithm = field.int;
          if (field.number === 24) found.spaceAfter = field.int !== 0;
          if (field.number === 35) found.byteFallback = field.int !== 0;
          if (field.number === 40) found.unknown = field.int;
          if (field.number === 41) found.bos = field.int;
          if (field.number === 42) found.eos = field.int;
        }
      }
      if (number === 3) {
        for (const field of readFields(bytes)) {
          if (field.number === 2) normalizer.charsmap = Uint8Array.from(field.bytes);
          if (field.number === 3) normalizer.dummyPrefix = field.int !== 0;
          if (field.number === 4) normalizer.collapseSpaces = field.int !== 0;
          if (field.number === 5) normalizer.escapeSpaces = field.int !== 0;
        }
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
    return refuse('is damaged, or no SentencePiece model');
  }
  if (pieces.length === 0) return refuse('is damaged, or no SentencePiece model');
  const name = ALGORITHMS[algorithm];
  if (name !== 'unigram' && name !== 'bpe')
    return refuse(`is a SentencePiece model of type ${name ?? algorithm}; only unigram and bpe are known`);
  if (pieces.some(({ type }) => type === UNUSED)) return refuse('has unused pieces, which are not supported');
  return { pieces, algorithm: name, ...found, ...normalizer };
}

function readPiece(message: Uint8Array): Piece {
  let [text, score, type] = ['', 0, NORMAL];
  for (const { number, bytes, float, int } of readFields(message)) {
    if (number === 1) text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (number === 2) score = float;
    if (number === 3) type = int;
  }
  return { text, score, type: type! };
}

/**
 * The pipeline of a SentencePiece model, with the results of `sentencepiece` itself. Control pieces are special added tokens; after one of
 * them no space is put before the text.
 */
export function sentencePiecePipeline(model: SentencePieceModel, refuse: Refuse): Pipeline {
  const { pieces, algorithm, byteFallback, unknown } = model;
  const vocabulary = new Map(pieces.map(({ text }, id) => [text, id]));
  const symbols = pieces.flatMap((piece, id) => (piece.type === USER_DEFINED ? [added(piece, id)] : []));
  const splitSymbols = splitter(symbols);
  const charsmap = model.charsmap.length === 0 ? undefined : readCharsmap(model.charsmap);
  if (charsmap === undefined && model.charsmap.length > 0) return refuse('has a damaged normalization table');
  const mapped = charsmap === undefined ? (text: string) => text : normalizeLongest(charsmap);
  const unknownIds = unknown >= 0 ? [unknown] : [];

  const normal = new Map<string, { id: number; score: number }>();
  for (const [id, { text, score, type }] of pieces.entries()) if (type === NORMAL) normal.set(text, { id, score });
  const idOf = (token: string) => vocabulary.get(token);
  const encodeText =
    algorithm === 'bpe'
      ? bpeEncoder(normal, pieces, text => (byteFallback ? byteIds(text, idOf) : undefined) ?? unknownIds)
      : unigramEncoder({
          segment: unigram({ pieces: normal }),
          idOf,
          fallback: byteFallback,
          unknown: unknownIds[0],
        });

  return {
    tokens: pieces.map(({ text }) => text),
    added: pieces.flatMap((piece, id) => (piece.type === CONTROL || piece.type === UNKNOWN ? [added(piece, id)] : [])),
    prefix: [],
    suffix: [],
    normalize: (text, first) => {
      const replaced = splitSymbols(text).map(part => (part.token === undefined ? mapped(part.text) : part.text));
      return spaces(replaced.join(''), model, first);
    },
    pieces: text => splitSymbols(text).map(part => part.text),
    encode: text => {
      const symbol = vocabulary.get(text);
      return symbol !== undefined && pieces[symbol]!.type === USER_DEFINED ? [symbol] : encodeText(text);
    },
    decode: tokens => {
      const text = joinBytes(tokens).join('').replaceAll(MARK, ' ');
      if (model.collapseSpaces) return text.replace(/^ +/, '');
      return model.dummyPrefix && text.startsWith(' ') ? text.slice(1) : text;
    },
  };
}

function added({ text, type }: Piece, id: number): AddedToken {
  const special = type !== USER_DEFINED;
  return { id, content: text, special, singleWord: false, lstrip: false, rstrip: false, normalized: false };
}

/** White space as SentencePiece's normalizer leaves it: runs collapsed, ends trimmed, one before the text, all of it visible. */
function spaces(text: string, model: SentencePieceModel, first: boolean): string {
  let spaced = model.collapseSpaces ? text.replace(/^ +/, '').replace(/ {2,}/g, ' ') : text;
  if (spaced === '') return '';
  if (model.collapseSpaces) spaced = spaced.replace(model.escapeSpaces ? /[ \u2581]+$/ : / +$/, '');
  if (model.dummyPrefix && model.spaceAfter) spaced += ' ';
  else if (model.dummyPrefix && first) spaced = ` ${spaced}`;
  return model.escapeSpaces ? spaced.replaceAll(' ', MARK) : spaced;
}

/** Two pieces merge when together they are a piece; the one with the highest score first, of equal ones the leftmost. */
function bpeEncoder(
  normal: ReadonlyMap<string, { readonly id: number; readonly score: number }>,
  pieces: readonly Piece[],
  outside: (text: string) => readonly number[],
): (text: string) => number[] {
  const cut = lazyCutter(new Map([...normal].map(([text, { id }]) => [text, id])));
  const mergeOf = (left: number, right: number) => {
    if (left < 0 || right < 0) return undefined;
    const merged = normal.get(pieces[left]!.text + pieces[right]!.text);
    return merged && { rank: -merged.score, id: merged.id };
  };
  const encodeWord = (word: string) => {
    const missing: string[] = [];
    const ids = Array.from(
      word,
      character => normal.get(character)?.id ?? FIRST_MISSING - (missing.push(character) - 1),
    );
    const merged = mergePairs(ids, mergeOf);
    const out: number[] = [];
    for (let i = 0; i < merged.length; i += 1) {
      if (merged[i]! >= 0) {
        out.push(merged[i]!);
        continue;
      }
      let run = '';
      for (; i < merged.length && merged[i]! < 0; i += 1) run += missing[FIRST_MISSING - merged[i]!]!;
      i -= 1;
      out.push(...outside(run));
    }
    return out;
  };
  return text => cut(text).flatMap(encodeWord);
}

/** Characters that are no piece are numbered downwards from here (-1 and -2 mean other things to the merging). */
const FIRST_MISSING = -3;
