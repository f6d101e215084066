/** What a unigram model knows: its pieces with their log-probabilities. */
export interface UnigramModel {
  /** Piece -> id, score; pieces that text never becomes (control, byte) are left out. */
  readonly pieces: ReadonlyMap<string, { readonly id: number; readonly score: number }>;
  /** The piece that stands for what is unknown, where it is one of them: its name in a text is as unknown as what it stands for. */
  readonly unknown?: number | undefined;
}

/** A piece of the best segmentation; `id` undefined: characters that no piece covers, joined where they are neighbours. */
export interface Segment {
  readonly text: string;
  readonly id: number | undefined;
}

/** How much worse than the worst piece an unknown character is (SentencePiece's constant). */
const UNKNOWN_PENALTY = 10;

/**
 * The most probable segmentation of a text under a unigram language model (Kudo 2018), by Viterbi in float64, from the left; of equal
 * segmentations the one found first, as in `tokenizers`. Time is proportional to the length of the text.
 */
export function unigram({ pieces, unknown: unknownId }: UnigramModel): (text: string) => Segment[] {
  // Every prefix of a piece, so that the search for the pieces at a position ends where no piece goes on.
  const prefixes = new Set<string>();
  let lowest = Infinity;
  for (const [piece, { score }] of pieces) {
    lowest = Math.min(lowest, score);
    for (let end = 1; end <= piece.length; end += 1) prefixes.add(piece.slice(0, end));
  }
  const unknown = lowest - UNKNOWN_PENALTY;

  return text => {
    const best = new Float64Array(text.length + 1);
    const from = new Int32Array(text.length + 1).fill(-1);
    const ids = new Int32Array(text.length + 1).fill(-1);
    const offer = (start: number, end: number, score: number, id: number) => {
      const total = score + best[start]!;
      if (from[end] !== -1 && total <= best[end]!) return;
      best[end] = total;
      from[end] = start;
      ids[end] = id;
    };
    for (let start = 0; start < text.length;) {
      const width = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let single = false;
      for (let end = start + 1; end <= text.length; end += 1) {
        const candidate = text.slice(start, end);
        if (!prefixes.has(candidate)) break;
        const piece = pieces.get(candidate);
        if (piece === undefined) continue;
        offer(start, end, piece.score, piece.id === unknownId ? -1 : piece.id);
        single ||= end === start + width;
      }
      if (!single) offer(start, start + width, unknown, -1);
      start += width;
    }
    return segments(text, from, ids);
  };
}

function segments(text: string, from: Int32Array, ids: Int32Array): Segment[] {
  const found: Segment[] = [];
  for (let end = text.length; end > 0;) {
    let start = from[end]!;
    if (ids[end]! === -1) {
      while (start > 0 && ids[start] === -1) start = from[start]!;
      found.push({ text: text.slice(start, end), id: undefined });
    } else {
      found.push({ text: text.slice(start, end), id: ids[end]! });
    }
    end = start;
  }
  return found.reverse();
}
