/** A token that is found in the text before anything else is done to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Marks structure (begin, end, roles); parsed only where the caller asks for it. */
  readonly special: boolean;
  /** Only where no word character touches it. */
  readonly singleWord: boolean;
  /** Takes the white space before it. */
  readonly lstrip: boolean;
  /** Takes the white space after it. */
  readonly rstrip: boolean;
  /** Found in the normalized text, not in the text as given. */
  readonly normalized: boolean;
}

/** A part of a text: a token, or text between tokens; `start` is its offset. */
export interface Section {
  readonly start: number;
  readonly text: string;
  readonly token?: AddedToken;
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u; // all of them are one unit long

/** Cuts a text at the tokens it holds: leftmost first, of several at one place the longest. */
export function splitter(tokens: readonly AddedToken[]): (text: string) => Section[] {
  const byContent = new Map(tokens.filter(({ content }) => content !== '').map(token => [token.content, token]));
  const lengths = lengthsByFirstUnit(byContent.keys());
  const tokenAt = (text: string, at: number) => {
    for (const length of lengths.get(text.charCodeAt(at)) ?? []) {
      const token = byContent.get(text.slice(at, at + length));
      if (token !== undefined) return token;
    }
    return undefined;
  };

  return text => {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      const token = tokenAt(text, at);
      let start = at;
      at += token?.content.length ?? 1;
      if (token === undefined || (token.singleWord && touchesWord(text, start, at))) continue;
      if (token.lstrip) while (start > done && SPACE.test(text.charAt(start - 1))) start -= 1;
      if (token.rstrip) while (SPACE.test(text.charAt(at))) at += 1;
      if (start > done) sections.push({ start: done, text: text.slice(done, start) });
      sections.push({ start, text: text.slice(start, at), token });
      done = at;
    }
    if (done < text.length) sections.push({ start: done, text: text.slice(done) });
    return sections;
  };
}

function touchesWord(text: string, start: number, end: number): boolean {
  const before = Array.from(text.slice(Math.max(0, start - 2), start)).at(-1) ?? '';
  const after = Array.from(text.slice(end, end + 2))[0] ?? '';
  return WORD.test(before) || WORD.test(after);
}

/** First code unit -> lengths of the tokens that begin with it, longest first. */
function lengthsByFirstUnit(contents: Iterable<string>): Map<number, number[]> {
  const lengths = new Map<number, Set<number>>();
  for (const content of contents) {
    const unit = content.charCodeAt(0);
    lengths.set(unit, (lengths.get(unit) ?? new Set<number>()).add(content.length));
  }
  return new Map([...lengths].map(([unit, found]) => [unit, [...found].sort((a, b) => b - a)]));
}
