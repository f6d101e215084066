import { splitter, type AddedToken } from './added-tokens.js';

/** The steps between text and token ids, whatever file they come from. */
export interface Pipeline {
  /** Token of each id; holes where an id has none. */
  readonly tokens: readonly (string | undefined)[];
  readonly added: readonly AddedToken[];
  /** Ids that stand around a text when special tokens are asked for. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  /** @param first the text stands at the beginning of what is tokenized */
  normalize(text: string, first: boolean): string;
  /** Cuts normalized text into pieces that are tokenized apart. */
  pieces(text: string, first: boolean): readonly string[];
  encode(piece: string): readonly number[];
  decode(tokens: readonly string[]): string;
}

/** @param specials parse the names of special tokens in the text as these tokens, not as text */
export type Encode = (text: string, specials: boolean) => number[];

/** Pieces are mostly words, and words come back: this many are remembered. */
const REMEMBERED = 1 << 16;
const LONGEST_REMEMBERED = 64;

/** Added tokens are cut out of the text first, then out of each section's normalized text; what is left goes through the steps. */
export function encoder(pipeline: Pipeline): Encode {
  const memory = new Map<string, readonly number[]>();
  const idsOf = (piece: string) => {
    const known = memory.get(piece);
    if (known !== undefined) return known;
    const ids = pipeline.encode(piece);
    if (memory.size >= REMEMBERED) memory.clear();
    if (piece.length <= LONGEST_REMEMBERED) memory.set(piece, ids);
    return ids;
  };
  const splitters = (specials: boolean) => {
    const tokens = pipeline.added.filter(({ special }) => specials || !special);
    // A token that is looked for in normalized text is normalized too.
    const normalized = tokens.filter(token => token.normalized);
    const spelt = normalized.map(token => ({ ...token, content: pipeline.normalize(token.content, false) }));
    return { given: splitter(tokens.filter(token => !token.normalized)), normalized: splitter(spelt) };
  };
  const [plain, withSpecials] = [splitters(false), splitters(true)];

  return (text, specials) => {
    const split = specials ? withSpecials : plain;
    const ids: number[] = [];
    for (const section of split.given(text)) {
      if (section.token !== undefined) {
        ids.push(section.token.id);
        continue;
      }
      for (const part of split.normalized(pipeline.normalize(section.text, section.start === 0))) {
        if (part.token !== undefined) {
          ids.push(part.token.id);
          continue;
        }
        const first = section.start === 0 && part.start === 0;
        for (const piece of pipeline.pieces(part.text, first)) for (const id of idsOf(piece)) ids.push(id);
      }
    }
    return ids;
  };
}
