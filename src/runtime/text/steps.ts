import { isRecord } from '../../formats/records.js';
import { joinBytes } from './byte-fallback.js';
import { readBytes, spellBytes } from './byte-level.js';
import { normalizeGraphemes, readCharsmap } from './charsmap.js';
import { decoderOf, normalizerOf, patternOf } from './huggingface.js';
import type { Refuse } from './models.js';

// The steps of a tokenizer.json, equal to those of the Rust library `tokenizers` on the texts of the tests. What @huggingface/tokenizers does otherwise
// (white space and digits of the regular expressions, Split's ways to split, Metaspace, charsmaps, bytes) is done here; the translation of
// regular expressions, Unicode normalization and the plain decoders are its own. Words, pieces and added tokens (bpe.ts, unigram.ts,
// added-tokens.ts) are done here, too: it has neither byte fallback for Unigram nor SentencePiece's files.

type Json = Readonly<Record<string, unknown>>;
type Normalize = (text: string) => string;
type PreTokenize = (text: string, first: boolean) => readonly string[];
type Decode = (tokens: readonly string[]) => readonly string[];

const PLAIN_NORMALIZERS = new Set(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'Prepend', 'Replace']);

/** The `normalizer` of a tokenizer.json as a function; null leaves texts as they are. One that is not known is refused. */
export function normalizer(config: unknown, refuse: Refuse): Normalize {
  if (config == null) return text => text;
  const { type, json } = typed(config, 'normalizer', refuse);
  if (type === 'Sequence') {
    const steps = list(json['normalizers'], 'normalizers', refuse).map(step => normalizer(step, refuse));
    return text => steps.reduce((current, step) => step(current), text);
  }
  if (type === 'Precompiled') {
    const blob = typeof json['precompiled_charsmap'] === 'string' ? json['precompiled_charsmap'] : '';
    if (blob === '') return text => text;
    const charsmap = readCharsmap(Buffer.from(blob, 'base64'));
    return charsmap === undefined ? refuse('has a damaged precompiled_charsmap') : normalizeGraphemes(charsmap);
  }
  if (type === 'Strip') {
    const [left, right] = [json['strip_left'] === true, json['strip_right'] === true];
    return text => {
      const cut = left ? text.replace(/^\p{White_Space}+/u, '') : text;
      return right ? withoutEnd(cut) : cut;
    };
  }
  if (!PLAIN_NORMALIZERS.has(type)) return refuse(`uses the normalizer ${type}, which is not supported`);
  const step = attempt(() => normalizerOf(json), `normalizer ${type}`, refuse);
  return text => (text === '' ? '' : step(text));
}

/** Without the white space at its end; a loop, because a pattern would look for that end at every space of a long text. */
function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** Its `pre_tokenizer`: how a text is cut into pieces that are tokenized apart. */
export function preTokenizer(config: unknown, refuse: Refuse): PreTokenize {
  if (config == null) return text => [text];
  const { type, json } = typed(config, 'pre-tokenizer', refuse);
  switch (type) {
    case 'Sequence': {
      const steps = list(json['pretokenizers'], 'pretokenizers', refuse).map(step => preTokenizer(step, refuse));
      return (text, first) =>
        steps.reduce<readonly string[]>(
          (pieces, step) => pieces.flatMap((piece, i) => step(piece, first && i === 0)),
          [text],
        );
    }
    case 'ByteLevel': {
      const cut: PreTokenize =
        json['use_regex'] === false ? text => [text] : split(GPT2_WORDS, 'Isolated', false, refuse);
      const space = json['add_prefix_space'] === true;
      return (text, first) => cut(space && !text.startsWith(' ') ? ` ${text}` : text, first).map(spellBytes);
    }
    case 'Metaspace':
      return metaspace(json);
    case 'Split':
      return split(json['pattern'], json['behavior'], json['invert'] === true, refuse);
    case 'Digits':
      return split({ Regex: json['individual_digits'] === true ? '\\p{N}' : '\\p{N}+' }, 'Isolated', false, refuse);
    case 'Punctuation':
      return split({ Regex: '[\\p{P}!-/:-@\\[-`{-~]' }, json['behavior'] ?? 'Isolated', false, refuse);
    case 'Whitespace':
      return split({ Regex: '\\w+|[^\\w\\s]+' }, 'Removed', true, refuse);
    case 'WhitespaceSplit':
      return split({ Regex: '\\s' }, 'Removed', false, refuse);
    default:
      return refuse(`uses the pre-tokenizer ${type}, which is not supported`);
  }
}

/** How GPT-2 cuts text into words. */
const GPT2_WORDS = {
  Regex: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
};

/** Spaces as visible marks, one before the text, and a piece for each mark unless `split` is false. */
function metaspace(json: Json): PreTokenize {
  const mark = typeof json['replacement'] === 'string' ? json['replacement'] : '\u2581';
  const scheme = json['prepend_scheme'] ?? (json['add_prefix_space'] === false ? 'never' : 'always');
  return (text, first) => {
    const marked = text.replaceAll(' ', mark);
    const before = scheme === 'always' || (scheme === 'first' && first);
    const whole = before && !marked.startsWith(mark) ? mark + marked : marked;
    if (json['split'] === false) return [whole];
    return whole.split(mark).flatMap((piece, i) => (i > 0 ? [mark + piece] : piece === '' ? [] : [piece]));
  };
}

/** Cuts at what a pattern matches; `behavior` says what becomes of the matches, `invert` swaps them with what lies between. */
function split(pattern: unknown, behavior: unknown, invert: boolean, refuse: Refuse): PreTokenize {
  const regex = attempt(() => patternOf(pattern), 'pattern in its pre-tokenizer', refuse);
  const join = JOINS[String(behavior).toLowerCase().replaceAll('_', '')];
  if (regex === null || join === undefined) return refuse('has a Split whose pattern or behavior is not known');
  return text => {
    const parts: Part[] = [];
    let done = 0;
    for (const match of text.matchAll(regex)) {
      if (match[0] === '') continue;
      if (match.index > done) parts.push({ text: text.slice(done, match.index), matched: invert });
      parts.push({ text: match[0], matched: !invert });
      done = match.index + match[0].length;
    }
    if (done < text.length) parts.push({ text: text.slice(done), matched: invert });
    return join(parts);
  };
}

interface Part {
  readonly text: string;
  readonly matched: boolean;
}

/** What becomes of the matches. */
const JOINS: Readonly<Record<string, (parts: readonly Part[]) => string[]>> = {
  isolated: parts => parts.map(part => part.text),
  removed: parts => parts.filter(part => !part.matched).map(part => part.text),
  contiguous: parts => merge(parts, (part, before) => part.matched === before.matched),
  mergedwithprevious: parts => merge(parts, (part, before) => part.matched && !before.matched),
  mergedwithnext: parts => merge(parts, (part, before) => before.matched && !part.matched),
};

function merge(parts: readonly Part[], joins: (part: Part, before: Part) => boolean): string[] {
  const merged: string[] = [];
  for (const [i, part] of parts.entries()) {
    const before = parts[i - 1];
    if (before !== undefined && joins(part, before)) merged.push(merged.pop()! + part.text);
    else merged.push(part.text);
  }
  return merged;
}

const PLAIN_DECODERS = new Set(['BPEDecoder', 'Replace', 'Fuse', 'Strip', 'WordPiece']);

/** Its `decoder`: what tokens become before they are put together. */
export function decoder(config: unknown, refuse: Refuse): Decode {
  if (config == null) return tokens => [tokens.join(' ')];
  const { type, json } = typed(config, 'decoder', refuse);
  switch (type) {
    case 'Sequence': {
      const steps = list(json['decoders'], 'decoders', refuse).map(step => decoder(step, refuse));
      return tokens => steps.reduce<readonly string[]>((current, step) => step(current), tokens);
    }
    case 'ByteLevel':
      return tokens => [readBytes(tokens)];
    case 'ByteFallback':
      return joinBytes;
    case 'Metaspace': {
      const mark = typeof json['replacement'] === 'string' ? json['replacement'] : '\u2581';
      const cut = json['prepend_scheme'] !== 'never' && json['add_prefix_space'] !== false;
      return tokens =>
        tokens.map((token, i) => {
          const text = token.replaceAll(mark, ' ');
          return cut && i === 0 && text.startsWith(' ') ? text.slice(1) : text;
        });
    }
    default: {
      if (!PLAIN_DECODERS.has(type)) return refuse(`uses the decoder ${type}, which is not supported`);
      return attempt(() => decoderOf(json), `decoder ${type}`, refuse);
    }
  }
}

function typed(config: unknown, what: string, refuse: Refuse): { type: string; json: Json } {
  if (!isRecord(config) || typeof config['type'] !== 'string') return refuse(`has a ${what} without a type`);
  return { type: config['type'], json: config };
}

function list(value: unknown, what: string, refuse: Refuse): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(`has a Sequence without ${what}`);
}

/** Construction fails on patterns that have no equal here. */
function attempt<T>(make: () => T, what: string, refuse: Refuse): T {
  try {
    return make();
  } catch (error) {
    return refuse(`has a ${what} that cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}
