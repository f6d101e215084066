/**
 * SentencePiece's `precompiled_charsmap`: a table of replacements (NFKC and the like) as a double-array trie over UTF-8 bytes.
 * Layout: uint32 size of the trie, the trie's units (darts-clone), then the replacements, each ended by a zero byte.
 */
export interface Charsmap {
  /** Length in bytes of the entries that `bytes` has at `start`, shortest first, each with its replacement. */
  matches(bytes: Uint8Array, start: number): { length: number; replacement: string }[];
}

/** @returns undefined when `blob` is no such table */
export function readCharsmap(blob: Uint8Array): Charsmap | undefined {
  if (blob.length < 4) return undefined;
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const size = view.getUint32(0, true);
  if (size === 0 || size % 4 !== 0 || size > blob.length - 4) return undefined;
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = blob.subarray(4 + size);
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  const textAt = (start: number) => {
    const end = texts.indexOf(0, start);
    return utf8.decode(texts.subarray(start, end === -1 ? undefined : end));
  };

  return {
    matches(bytes, start) {
      const found: { length: number; replacement: string }[] = [];
      let node = childrenOf(units[0]!);
      for (let at = start; at < bytes.length; at += 1) {
        node ^= bytes[at]!;
        const unit = units[node] ?? 0;
        if ((unit & LABEL) >>> 0 !== bytes[at]) break;
        node ^= childrenOf(unit);
        if (unit & HAS_VALUE) {
          found.push({ length: at + 1 - start, replacement: textAt((units[node] ?? 0) & 0x7fffffff) });
        }
      }
      return found;
    },
  };
}

// The bits of a unit: label, whether a value hangs below it, distance to its children.
const LABEL = 0x800000ff;
const HAS_VALUE = 1 << 8;

function childrenOf(unit: number): number {
  return (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
}

/** As SentencePiece applies it: at every position the longest entry, else one character as it is. */
export function normalizeLongest(charsmap: Charsmap): (text: string) => string {
  return text => {
    const bytes = new TextEncoder().encode(text);
    let out = '';
    let at = 0; // in bytes
    for (let i = 0; i < text.length;) {
      const match = charsmap.matches(bytes, at).at(-1);
      const end = match === undefined ? i + widthAt(text, i) : i;
      out += match === undefined ? text.slice(i, end) : match.replacement;
      const until = at + (match?.length ?? Buffer.byteLength(text.slice(i, end)));
      // Entries are whole characters: step over those that the match covers.
      for (; at < until; i += widthAt(text, i)) at += Buffer.byteLength(text.slice(i, i + widthAt(text, i)));
    }
    return out;
  };
}

function widthAt(text: string, i: number): number {
  return text.codePointAt(i)! > 0xffff ? 2 : 1;
}

/**
 * As `tokenizers` applies it: a grapheme of fewer than six bytes is replaced whole by the shortest entry that it starts with; where there is
 * none, and in longer graphemes, each character is.
 */
export function normalizeGraphemes(charsmap: Charsmap): (text: string) => string {
  const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
  const encoder = new TextEncoder();
  const replaced = (text: string) => charsmap.matches(encoder.encode(text), 0)[0]?.replacement;
  return text => {
    let out = '';
    for (const { segment } of graphemes.segment(text)) {
      const whole = Buffer.byteLength(segment) < 6 ? replaced(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += replaced(character) ?? character;
    }
    return out;
  };
}
