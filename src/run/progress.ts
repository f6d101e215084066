import type { Plan } from '../recipe/plan.js';
import type { OnEvent } from './events.js';

/** Milliseconds between two progress events: a display needs no more. */
const PAUSE = 100;

/** Counts source bytes and tells how far a run is. What an earlier attempt has done counts as done, but not as speed. */
export function progressMeter(plan: Plan, onEvent: OnEvent, now: () => number) {
  const sizes = new Map(plan.parts.map(work => [work.part.id, partBytes(plan, work)]));
  const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const start = now();
  let part = '';
  let skipped = 0;
  let done = 0;
  let last = -Infinity;
  const tell = () => {
    last = now();
    const elapsedMs = last - start;
    const worked = done - skipped;
    const remainingMs = worked > 0 ? (elapsedMs * (total - done)) / worked : undefined;
    const rss = process.memoryUsage.rss();
    onEvent({
      type: 'progress',
      part,
      done,
      total,
      elapsedMs,
      rss,
      ...(remainingMs === undefined ? {} : { remainingMs }),
    });
  };
  return {
    /** @param finished an earlier attempt has done this part */
    enter(id: string, finished: boolean) {
      part = id;
      if (finished) {
        skipped += sizes.get(id)!;
        done += sizes.get(id)!;
      }
      tell();
    },
    add(bytes: number) {
      done += bytes;
      if (now() - last >= PAUSE || done === total) tell();
    },
  };
}

function partBytes({ model }: Plan, { part, steps, copies }: Plan['parts'][number]): number {
  const size = (tensor: string) => model.source.tensors.get(tensor)!.bytes;
  const coded = new Set(steps.flatMap(({ codes }) => codes));
  const weights = part.modules.reduce(
    (sum, { name, weight }) => sum + (weight && coded.has(name) ? size(weight.tensor) : 0),
    0,
  );
  return weights + copies.reduce((sum, { tensor }) => sum + size(tensor), 0);
}
