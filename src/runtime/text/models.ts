import { isCount, isRecord } from '../../formats/records.js';
import { mergePairs, type Merge } from './bpe.js';
import { byteIds } from './byte-fallback.js';
import { cutter, type Cutter } from './cuts.js';
import { unigram } from './unigram.js';

/** A vocabulary and how a piece of text becomes ids of it. */
export interface TokenModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  encode(piece: string): number[];
}

/** Says in a sentence what is wrong with the file. */
export type Refuse = (problem: string) => never;

type Json = Readonly<Record<string, unknown>>;

/** Longer pieces are cut where that changes nothing. */
const LONG = 64;

/** The model of a tokenizer.json: `BPE` or `Unigram`, the two that language models use. */
export function tokenModel(model: unknown, refuse: Refuse): TokenModel {
  if (!isRecord(model)) return refuse('has no model');
  // Files of early versions name no type.
  const type = model['type'] ?? (Array.isArray(model['vocab']) ? 'Unigram' : 'merges' in model ? 'BPE' : undefined);
  if (type === 'BPE') return bpeModel(model, refuse);
  if (type === 'Unigram') return unigramModel(model, refuse);
  return refuse(`holds a model of type ${JSON.stringify(type)}; only BPE and Unigram are known`);
}

function bpeModel(model: Json, refuse: Refuse): TokenModel {
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[key] != null && model[key] !== '') refuse(`sets ${key}, which is not supported`);
  }
  const vocabulary = readVocabulary(model['vocab'], refuse);
  const merges = readMerges(model['merges'], vocabulary, refuse);
  const size = vocabulary.size === 0 ? 0 : maxOf(vocabulary.values()) + 1;
  const unknown = typeof model['unk_token'] === 'string' ? vocabulary.get(model['unk_token']) : undefined;
  const fallback = model['byte_fallback'] === true;
  const whole = model['ignore_merges'] === true;
  const fuse = model['fuse_unk'] === true;
  const cut = lazyCutter(vocabulary);
  const mergeOf = (left: number, right: number) => merges.get(left * size + right);

  const encodeWord = (word: string) => {
    const ids: number[] = [];
    let unknownBefore = false;
    for (const character of word) {
      const id = vocabulary.get(character);
      const known = id !== undefined ? [id] : fallback ? byteIds(character, token => vocabulary.get(token)) : undefined;
      if (known !== undefined) ids.push(...known);
      else if (unknown !== undefined && !(fuse && unknownBefore)) ids.push(unknown);
      unknownBefore = known === undefined;
    }
    return mergePairs(ids, mergeOf);
  };
  return {
    vocabulary,
    encode(piece) {
      const id = whole ? vocabulary.get(piece) : undefined;
      if (id !== undefined) return [id];
      if (piece.length <= LONG) return encodeWord(piece);
      return cut(piece).flatMap(encodeWord);
    },
  };
}

/** Pair of ids, as left * size + right -> what it becomes. */
function readMerges(merges: unknown, vocabulary: ReadonlyMap<string, number>, refuse: Refuse): Map<number, Merge> {
  if (!Array.isArray(merges)) return refuse('has no list of merges');
  const size = maxOf(vocabulary.values()) + 1;
  const found = new Map<number, Merge>();
  for (const [rank, merge] of (merges as readonly unknown[]).entries()) {
    const pair: readonly unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const [left, right] = pair;
    if (pair.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
      return refuse(`has a merge, number ${rank}, that is no pair of tokens`);
    const ids = [left, right, left + right].map(token => vocabulary.get(token));
    if (ids.includes(undefined)) return refuse(`has a merge, number ${rank}, whose tokens are not in the vocabulary`);
    const key = ids[0]! * size + ids[1]!;
    // Of a pair that is listed twice the later rank counts, as in a map that is filled in order.
    found.set(key, { rank, id: ids[2]! });
  }
  return found;
}

function unigramModel(model: Json, refuse: Refuse): TokenModel {
  const entries = model['vocab'];
  if (!Array.isArray(entries) || entries.length === 0) return refuse('has no vocabulary');
  const vocabulary = new Map<string, number>();
  const pieces = new Map<string, { id: number; score: number }>();
  for (const [id, entry] of (entries as readonly unknown[]).entries()) {
    const [piece, score] = Array.isArray(entry) ? (entry as readonly unknown[]) : [];
    if (typeof piece !== 'string' || typeof score !== 'number')
      return refuse(`has an entry, number ${id}, in its vocabulary that is no piece with a score`);
    vocabulary.set(piece, id);
    pieces.set(piece, { id, score });
  }
  const unknown = model['unk_id'];
  return {
    vocabulary,
    encode: unigramEncoder({
      segment: unigram({ pieces, unknown: isCount(unknown) ? unknown : undefined }),
      idOf: token => vocabulary.get(token),
      nameOf: text => vocabulary.get(text),
      fallback: model['byte_fallback'] === true,
      unknown: isCount(unknown) ? unknown : undefined,
    }),
  };
}

export interface UnigramSteps {
  segment: ReturnType<typeof unigram>;
  idOf: (token: string) => number | undefined;
  /** Id of a run that no piece covers but that is the name of a token all the same: of the unknown token itself. */
  nameOf?: (text: string) => number | undefined;
  /** Spell what no piece covers as bytes. */
  fallback: boolean;
  /** Id of the unknown token; undefined drops what cannot be spelt. */
  unknown: number | undefined;
}

/** Segments as ids: what no piece covers becomes bytes, or one unknown token for each run of it. */
export function unigramEncoder({
  segment,
  idOf,
  nameOf,
  fallback,
  unknown,
}: UnigramSteps): (piece: string) => number[] {
  const outside = unknown === undefined ? [] : [unknown];
  const spell = (text: string) => {
    const name = nameOf?.(text);
    if (name !== undefined) return [name];
    return (fallback ? byteIds(text, idOf) : undefined) ?? outside;
  };
  return piece => segment(piece).flatMap(({ text, id }) => (id === undefined ? spell(text) : [id]));
}

/** The table behind the cuts is made when the first long piece comes. */
export function lazyCutter(vocabulary: ReadonlyMap<string, number>): Cutter {
  let made: Cutter | undefined;
  return text => (made ??= cutter(vocabulary.keys()))(text);
}

function readVocabulary(value: unknown, refuse: Refuse): Map<string, number> {
  if (!isRecord(value)) return refuse('has no vocabulary');
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(value)) {
    if (!isCount(id) || id >= MAX_ID) return refuse(`gives the token ${JSON.stringify(token)} no usable id`);
    vocabulary.set(token, id);
  }
  return vocabulary;
}

/** Ids beyond this are no ids: the largest vocabularies have a few hundred thousand tokens. */
export const MAX_ID = 1 << 24;

function maxOf(ids: Iterable<number>): number {
  let max = -1;
  for (const id of ids) max = Math.max(max, id);
  return max;
}
