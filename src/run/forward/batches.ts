/** Sequences of equal length that run together: no padding exists. */
export interface Batch {
  /** Token ids, one sequence after the other. */
  readonly ids: Int32Array;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Index of the first of them among all rows; they follow each other. */
  readonly first: number;
  readonly rows: number;
}

/** Tokens that run together at most: enough to keep an engine busy, and a constant, since shapes change the last bits of results. */
const BATCH_TOKENS = 512;

/**
 * Neighbouring rows of equal length in batches of up to `tokens` tokens, one row at least, in their order.
 * @param options.alone each row is a batch
 * @param options.count rows of a batch, at most. Default: as many as fit
 */
export function batchesOf(
  rows: readonly Int32Array[],
  {
    tokens = BATCH_TOKENS,
    alone = false,
    count: atMost = alone ? 1 : Infinity,
  }: { tokens?: number; alone?: boolean; count?: number } = {},
): Batch[] {
  const batches: Batch[] = [];
  for (let first = 0; first < rows.length;) {
    const { length } = rows[first]!;
    const most = Math.min(atMost, Math.max(1, Math.floor(tokens / Math.max(1, length))));
    let count = 1;
    while (count < most && rows[first + count]?.length === length) count++;
    const ids = new Int32Array(count * length);
    for (let i = 0; i < count; i++) ids.set(rows[first + i]!, i * length);
    batches.push({ ids, length, first, rows: count });
    first += count;
  }
  return batches;
}
