import type { EvaluateEvent } from './evaluate.js';
import type { Done, Forward } from './forward/forward.js';

/**
 * Tells how much of all work of some models is done.
 * @returns what each of them calls between pieces of its work
 */
export function progress(
  models: readonly Pick<Forward, 'decoder' | 'batches'>[],
  tell: (event: EvaluateEvent) => void,
  label?: string,
): (done: Done) => void {
  const total = models.reduce((sum, { decoder, batches }) => sum + (decoder.layers.length + 2) * batches.length, 0);
  let done = 0;
  return ({ part, share }) => {
    done += share;
    // sums of thirds and the like
    tell({ type: 'progress', part: label ?? part, done: Math.round(done * 1e6) / 1e6, total });
  };
}
