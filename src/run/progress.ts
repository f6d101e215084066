import type { Plan } from '../recipe/plan.js';
import type { CalibrationPlan } from './calibrate/begin.js';
import { COPY_RATE, flopRate, passOperations } from './calibrate/cost.js';
import type { OnEvent } from './events.js';

/** Milliseconds between two progress events: a display needs no more. */
const PAUSE = 100;

export interface Progress {
  /** @param finished an earlier attempt has done this part */
  enter(part: string, finished: boolean): void;
  /** Source bytes that are done. */
  add(bytes: number): void;
  /** A share of one pass of the calibration data through the part. */
  pass(share: number): void;
}

/**
 * Counts source bytes and tells how far a run is; a pass of calibration data counts as the bytes that take as long. What an earlier attempt has
 * done counts as done, but not as speed.
 */
export function progressMeter(
  plan: Plan,
  calibrated: CalibrationPlan | undefined,
  onEvent: OnEvent,
  now: () => number,
): Progress {
  const passBytes = new Map(plan.parts.map(work => [work.part.id, costOfPass(work, calibrated)]));
  const sizes = new Map(
    plan.parts.map(work => {
      const { id } = work.part;
      const passes = calibrated?.passes.parts.get(id)?.length ?? 0;
      return [id, partBytes(plan, work) + passes * passBytes.get(id)!];
    }),
  );
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
  const add = (bytes: number) => {
    done += bytes;
    if (now() - last >= PAUSE || done === total) tell();
  };
  return {
    enter(id, finished) {
      part = id;
      if (finished) {
        skipped += sizes.get(id)!;
        done += sizes.get(id)!;
      }
      tell();
    },
    add,
    pass: share => add(share * passBytes.get(part)!),
  };
}

function costOfPass(work: Plan['parts'][number], calibrated: CalibrationPlan | undefined): number {
  return Math.round(passOperations(work) * (calibrated?.data.tokens ?? 0) * (COPY_RATE / flopRate()));
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
