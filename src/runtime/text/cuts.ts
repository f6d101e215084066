/** Cuts a text into parts that tokenize alone exactly as they do together. */
export type Cutter = (text: string) => string[];

/**
 * Byte-pair encoding only ever builds tokens of the vocabulary. Two characters that stand side by side in no token are therefore never merged
 * into one, and what is left of them does not depend on what is right: between them a text may be cut. So a document without a
 * pre-tokenizer (SentencePiece) is cut into words, whose tokens can be kept, instead of being merged as one word of its whole length.
 * Next to a character that is no token itself nothing is cut: such characters are dropped, or joined into one unknown token.
 */
export function cutter(tokens: Iterable<string>): Cutter {
  const known = new Set<number>();
  const neighbours = new Set<number>();
  for (const token of tokens) {
    let last = -1;
    for (let i = 0; i < token.length;) {
      const point = token.codePointAt(i)!;
      const width = point > 0xffff ? 2 : 1;
      if (last >= 0) neighbours.add(last * POINTS + point);
      else if (width === token.length) known.add(point);
      last = point;
      i += width;
    }
  }
  return text => {
    const parts: string[] = [];
    let start = 0;
    let last = -1;
    for (let i = 0; i < text.length;) {
      const point = text.codePointAt(i)!;
      if (last >= 0 && known.has(last) && known.has(point) && !neighbours.has(last * POINTS + point)) {
        parts.push(text.slice(start, i));
        start = i;
      }
      last = point;
      i += point > 0xffff ? 2 : 1;
    }
    parts.push(text.slice(start));
    return parts;
  };
}

/** Unicode has fewer code points than this. */
const POINTS = 0x110000;
