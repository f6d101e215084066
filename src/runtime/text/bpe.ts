/** What two neighbouring tokens become, and when: of all pairs in a word the lowest rank merges first, of equal ones the leftmost. */
export interface Merge {
  readonly rank: number;
  readonly id: number;
}

export type MergeOf = (left: number, right: number) => Merge | undefined;

/**
 * Byte-pair encoding of one word (Sennrich et al. 2016, as `tokenizers` and SentencePiece run it): merges the pair of lowest rank until none is
 * left. O(n log n) by a heap of candidate pairs; a candidate whose tokens have changed meanwhile is passed over.
 * @param ids the tokens of the word's characters; overwritten
 * @returns the merged tokens
 */
export function mergePairs(ids: number[], mergeOf: MergeOf): number[] {
  const next = ids.map((_, i) => i + 1);
  const previous = ids.map((_, i) => i - 1);
  const heap: Candidate[] = [];

  const offer = (at: number) => {
    const follower = at < 0 ? ids.length : next[at]!;
    if (follower >= ids.length) return;
    const merge = mergeOf(ids[at]!, ids[follower]!);
    if (merge !== undefined) push(heap, { at, left: ids[at]!, right: ids[follower]!, merge });
  };
  for (let at = 0; at < ids.length - 1; at += 1) offer(at);

  for (let best = pop(heap); best !== undefined; best = pop(heap)) {
    const { at, left, right, merge } = best;
    const follower = next[at]!;
    if (ids[at] !== left || follower >= ids.length || ids[follower] !== right) continue;
    ids[at] = merge.id;
    ids[follower] = MERGED;
    next[at] = next[follower]!;
    if (next[at]! < ids.length) previous[next[at]!] = at;
    offer(previous[at]!);
    offer(at);
  }
  return ids.filter(id => id !== MERGED);
}

/** Stands where a token was that has become part of the one before it. */
const MERGED = -2;

interface Candidate {
  readonly at: number;
  readonly left: number;
  readonly right: number;
  readonly merge: Merge;
}

function before(a: Candidate, b: Candidate): boolean {
  return a.merge.rank < b.merge.rank || (a.merge.rank === b.merge.rank && a.at < b.at);
}

function push(heap: Candidate[], item: Candidate): void {
  let child = heap.length;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    if (!before(item, heap[parent]!)) break;
    heap[child] = heap[parent]!;
    child = parent;
  }
  heap[child] = item;
}

function pop(heap: Candidate[]): Candidate | undefined {
  const top = heap[0];
  const item = heap.pop();
  if (item === undefined || heap.length === 0) return top;
  let parent = 0;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    if (!before(heap[child]!, item)) break;
    heap[parent] = heap[child]!;
    parent = child;
  }
  heap[parent] = item;
  return top;
}
