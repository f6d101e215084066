import { cpus } from 'node:os';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../formats/files.js';
import { planPasses, type Passes } from '../../recipe/passes.js';
import type { Plan } from '../../recipe/plan.js';
import { observersOf } from '../../recipe/plugins/plugins.js';
import { decoderOf } from '../../runtime/model/decoder.js';
import type { Decoder } from '../../runtime/model/graph.js';
import type { Engine } from '../../runtime/engine/engine.js';
import type { Fingerprint } from '../fingerprint.js';
import type { Inputs } from '../inputs.js';
import type { JournalContent } from '../journal.js';
import { hiddenFolder } from '../lock.js';
import type { CalibrationReport } from '../report.js';
import { openCalibration, type Calibration } from './calibration.js';
import { readCalibration, type CalibrationData } from './data.js';
import { statesPath, syncStates, type SavedStates } from './states.js';

/** What a run needs to know before it lets data flow. */
export interface CalibrationPlan {
  readonly passes: Passes;
  readonly decoder: Decoder;
  readonly data: CalibrationData;
}

/**
 * Reads the data that the plan's modifiers want to see; nothing is written.
 * @returns undefined when they want none
 * @throws TensorpressError ARGUMENT when the text cannot be used
 */
export async function planCalibration(plan: Plan, { calibration }: Inputs): Promise<CalibrationPlan | undefined> {
  const passes = planPasses(plan);
  if (passes === undefined) return undefined;
  const decoder = decoderOf(plan.model);
  return { passes, decoder, data: await readCalibration(calibration!, plan.model.folder, decoder.vocabulary) };
}

/** What of engine, machine and data decides the last bits of a calibrated run. */
export function computesWith(
  { data }: CalibrationPlan,
  { description, precision }: Engine,
): Fingerprint['calibration'] {
  const [processor] = cpus();
  return {
    engine: `${description}, ${precision}`,
    processor: `${processor?.model ?? ''} ${process.arch}`,
    rows: data.sha256,
  };
}

/** What the report says of the data. */
export function reportOf({ data }: CalibrationPlan, { description }: Engine): CalibrationReport {
  const { sequences, tokens, sha256, notes } = data;
  return { sequences, tokens, rows_sha256: sha256, engine: description, notes };
}

/** Lets data flow through the parts that an earlier attempt has not finished. */
export async function beginCalibration(
  plan: Plan,
  { passes, decoder, data: { batches } }: CalibrationPlan,
  {
    engine,
    folder,
    parts,
    tick,
  }: Pick<JournalContent, 'parts'> & {
    readonly engine: Engine;
    /** Of the run. */
    readonly folder: string;
    readonly tick: (share: number) => void;
  },
): Promise<Calibration> {
  const hidden = hiddenFolder(folder);
  const { model } = plan;
  const last = [...parts.values()].at(-1)?.streams ?? [];
  await mkdir(hidden, { recursive: true }).catch((error: unknown) => Promise.reject(diskError(error, hidden)));
  // what was saved and not committed, and what an earlier attempt could not remove
  const known = new Set(last.map(states => statesPath(hidden, states)));
  for (const name of await readdir(hidden)) {
    const path = join(hidden, name);
    if (!known.has(path)) await rm(path, { recursive: true, force: true });
  }
  const calibration = openCalibration({
    ...{ engine, decoder, model, batches, passes, folder: hidden, tick },
    observers: observersOf(plan.plugins),
  });
  try {
    // streams that nobody looks at any more have ended
    const ahead = plan.parts
      .filter(({ part }) => !parts.has(part.id))
      .flatMap(({ part }) => passes.parts.get(part.id) ?? []);
    const needed = new Set(ahead.map(({ stream }) => stream));
    await calibration.resume(last.filter(({ stream }) => needed.has(stream)));
    return calibration;
  } catch (error) {
    await calibration.close();
    throw error;
  }
}

/** Makes the states that a part has left durable; once it is committed, `drop` removes those before. */
export function statesKeeper(folder: string, { parts }: Pick<JournalContent, 'parts'>) {
  const hidden = hiddenFolder(folder);
  let before: readonly SavedStates[] = [...parts.values()].at(-1)?.streams ?? [];
  return {
    async keep(states: readonly SavedStates[]) {
      const durable = [];
      for (const saved of states) durable.push({ ...saved, sha256: await syncStates(statesPath(hidden, saved)) });
      return durable;
    },
    async drop(states: readonly SavedStates[]) {
      for (const old of before) await rm(statesPath(hidden, old), { force: true });
      before = states;
    },
  };
}
