import { createHash } from 'node:crypto';

/** Rows of one length that run through the model together: no padding exists. */
export interface Batch {
  /** Indices of the rows. */
  readonly rows: readonly number[];
  /** Tokens of each row. */
  readonly length: number;
}

export interface Batches {
  readonly batches: readonly Batch[];
  /** SHA-256 over the lines `length index index ...` of the batches. */
  readonly sha256: string;
}

/**
 * Puts rows into batches of at most `batchSize`: each row goes to the open batch of its length, batches stand in the order of their first
 * rows.
 * @param rows their lengths count
 */
export function batches(rows: readonly { readonly ids: ArrayLike<number> }[], batchSize: number): Batches {
  const made: { rows: number[]; length: number }[] = [];
  const open = new Map<number, { rows: number[]; length: number }>();
  for (const [index, { ids }] of rows.entries()) {
    let batch = open.get(ids.length);
    if (batch === undefined || batch.rows.length >= batchSize) {
      batch = { rows: [], length: ids.length };
      open.set(ids.length, batch);
      made.push(batch);
    }
    batch.rows.push(index);
  }
  const lines = made.map(batch => `${batch.length} ${batch.rows.join(' ')}\n`);
  return { batches: made, sha256: createHash('sha256').update(lines.join('')).digest('hex') };
}
