import type { Random } from '../../numerics/random.js';
import type { Row } from './texts.js';

/** Takes rows as they come and keeps those that are to be used. */
export interface Selection {
  offer(row: Row): void;
  /** Nothing that comes can change the result any more. */
  full(): boolean;
  /** `note`: what was left out of the file `name`. */
  finish(name: string): { readonly rows: readonly Row[]; readonly note: string | undefined };
}

/** The first `limit` rows. */
export function firstRows(limit: number): Selection {
  const rows: Row[] = [];
  let more = false;
  return {
    offer: row => {
      if (rows.length < limit) rows.push(row);
      else more = true;
    },
    full: () => more,
    finish: name => ({ rows, note: more ? `only the first ${rows.length} rows of ${name} are used` : undefined }),
  };
}

/** `limit` rows in random order: those with the lowest keys, where every row draws one when it comes. Holds at most twice the limit. */
export function drawnRows(limit: number, { float64 }: Random): Selection {
  let drawn: { readonly key: number; readonly row: Row }[] = [];
  let seen = 0;
  const sort = () => (drawn = drawn.sort((a, b) => a.key - b.key).slice(0, limit));
  return {
    offer: row => {
      seen += 1;
      drawn.push({ key: float64(), row });
      if (drawn.length >= 2 * limit) sort();
    },
    full: () => false,
    finish: name => {
      const rows = sort().map(({ row }) => row);
      return {
        rows,
        note: rows.length < seen ? `${rows.length} rows are drawn from the ${seen} of ${name}` : undefined,
      };
    },
  };
}
