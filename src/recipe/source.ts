import type { Place } from '../errors.js';

/** A text that values are read from: a recipe file, or the `--set` arguments, one per line. */
export class Source {
  readonly #lineStarts: number[] = [0];

  constructor(
    readonly file: string,
    readonly text: string,
    /** Lines that have nothing to do with each other, so that none explains the next. */
    readonly options: { separateLines?: boolean } = {},
  ) {
    for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) this.#lineStarts.push(i + 1);
  }

  /** Line and column of an offset, both 1-based; columns count code points. */
  position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    const before = this.text.slice(this.#lineStarts[low], offset);
    return { line: low + 1, column: codePoints(before).length + 1 };
  }

  /** A line (1-based) without its line break; undefined beyond the text. */
  line(number: number): string | undefined {
    const start = this.#lineStarts[number - 1];
    if (start === undefined) return undefined;
    const next = this.#lineStarts[number];
    return this.text.slice(start, next === undefined ? undefined : next - 1).replace(/\r$/, '');
  }
}

/** Where something is written: a range of a source, and its JSON pointer there. */
export interface At {
  readonly source: Source;
  readonly from: number;
  readonly to: number;
  readonly pointer: string;
}

/** File, line, column and JSON pointer of a place. */
export function placeOf({ source, from, pointer }: At): Place {
  return { file: source.file, ...source.position(from), path: pointer };
}

/** The characters of a text as a reader counts them. */
export function codePoints(text: string): string[] {
  return Array.from(text);
}

/** JSON pointer of a member. */
export function join(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
