import { existsSync } from 'node:fs';
import { realpath, rm, rmdir } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { TensorpressError } from '../errors.js';
import { syncFolder } from '../formats/files.js';
import type { Output } from '../outputs/output.js';
import type { Model } from '../runtime/model/model.js';
import type { Applied, ApplyOptions } from './apply.js';
import {
  beginCalibration,
  computesWith,
  planCalibration,
  reportOf,
  statesKeeper,
  type CalibrationPlan,
} from './calibrate/begin.js';
import type { Calibration } from './calibrate/calibration.js';
import { execute, type Finished, type PartResult } from './execute.js';
import { compareFingerprints, fingerprintOf } from './fingerprint.js';
import { finishRun } from './finish.js';
import { claimFolder, clearPartials, folderState, journalPath, standing } from './files.js';
import { readInputs, type Inputs } from './inputs.js';
import { openJournal, readJournal, startJournal, type Journal, type JournalHead } from './journal.js';
import { holdEngine } from './held-engine.js';
import { hiddenFolder, lockFolder, newLock, releaseLock, type Lock } from './lock.js';
import { createJobs } from './pool.js';
import { progressMeter } from './progress.js';
import { prepare, type Prepared } from './prepare.js';
import { checkEvaluation } from './judge-result.js';
import { runFiles } from './record.js';
import { checkSpace } from './space.js';
import { Stopping } from './stopping.js';
import { threadsFor } from './threads.js';
import { VERSION } from './version.js';
import { createBuffers } from './weights.js';

/**
 * A run from recipe to finished folder. It is the body of `apply`, in a thread of its own.
 *
 * What it does to the disk, in this order. It may be killed between any two steps, and inside of each; the same command then goes on.
 *
 *     1  a claim in .tensorpress/                     nothing has happened yet: a lock of a dead process is no lock
 *     2  the journal's head                           unfinished; with --force over something, that something still stands, and only
 *                                                     --force, which starts over, may touch it
 *     3  *.partial files, hidden states, and in the   unfinished; parts without a line are done again, from the hidden states that the
 *        journal a line for each part, once its       line before them names
 *        bytes are on the disk
 *     4  line `clear`, only when something is         from here on nothing is left to go back to, and the run goes on without --force;
 *        replaced; run.json, config.json, then the    nothing looks finished; removing is repeated until it is through
 *        rest of the old is removed
 *     5  line `name`                                  from here on nothing is removed any more
 *     6  partial files get their names                each one is found under either name
 *     7  index, tokenizer; the result is judged;      written again, each whole or not at all; judged again
 *        model card, recipe, report, config.json
 *     8  run.json                                     finished
 *     9  journal, states and claim are removed        left-overs go when the folder is next asked for
 *
 * A run that fails before it has finished a part takes back 2 and 3; one that fails before 2 leaves no trace.
 * @throws TensorpressError
 */
export async function runSession(
  options: ApplyOptions,
  lock: Lock = newLock(resolve(options.out)),
  stopping = new Stopping(),
): Promise<Applied> {
  const { onEvent = () => {}, now = () => performance.now(), force = false } = options;
  const start = now();
  const { folder } = lock;
  if ((await folderState(folder)) === 'finished') await tidy(lock);
  await claimFolder(folder, force);
  const prepared = await prepare({ ...options, out: folder });
  const { source } = prepared.plan.model;
  try {
    await refuseSource(folder, prepared.plan.model);
    const inputs = await readInputs(prepared, options.recipe, folder);
    await checkEvaluation(prepared, inputs);
    const calibrated = await planCalibration(prepared.plan, inputs);
    onEvent({ type: 'plan', plan: prepared.summary });
    await lockFolder(lock);
    try {
      return await underLock(prepared, inputs, options, { folder, start, stopping, calibrated });
    } finally {
      releaseLock(lock);
    }
  } finally {
    await source.close();
  }
}

async function underLock(
  prepared: Prepared,
  inputs: Inputs,
  options: ApplyOptions,
  {
    folder,
    start,
    stopping,
    calibrated,
  }: { folder: string; start: number; stopping: Stopping; calibrated: CalibrationPlan | undefined },
): Promise<Applied> {
  const { onEvent = () => {}, now = () => performance.now() } = options;
  const { plan, outputs } = prepared;
  const stopped = stopping.watch();
  const signal = options.signal === undefined ? stopped.signal : AbortSignal.any([options.signal, stopped.signal]);
  const runner = calibrated && (await holdEngine(options, stopping));
  let calibration: Calibration | undefined;
  const free = async () => {
    stopped.end();
    await calibration?.close();
    await runner?.close();
  };
  const { head, resumes } = await beginRun(
    prepared,
    inputs,
    options,
    folder,
    runner && computesWith(calibrated!, runner.engine),
  ).catch(async (error: unknown) => {
    await free();
    throw error;
  });
  const journalled = await readJournal(journalPath(folder));
  if (resumes && journalled.parts.size > 0) {
    const message = `${journalled.parts.size} of ${plan.parts.length} parts are there already`;
    onEvent({ type: 'remark', message });
  }

  const jobs = createJobs(options.threads ?? threadsFor(plan.model), signal);
  let durableParts = journalled.parts.size;
  let journal: Journal | undefined;
  try {
    journal = await openJournal(journalPath(folder));
    await clearPartials(folder, head);
    for (const [i, output] of outputs.entries()) await output.open(storedBy(i, journalled.parts.values()));
    const progress = progressMeter(
      plan,
      calibrated,
      event => {
        stopping.check();
        onEvent(event);
      },
      now,
    );
    if (runner !== undefined) {
      const { parts } = journalled;
      calibration = await beginCalibration(plan, calibrated!, {
        engine: runner.engine,
        folder,
        parts,
        tick: progress.pass,
      });
    }
    const states = statesKeeper(folder, journalled);
    const results = await inBackground(
      async commit => {
        const buffers = createBuffers(jobs.parallel + 1);
        const { parts: finished } = journalled;
        return execute({ plan, outputs, jobs, buffers, calibration, finished, commit, progress, onEvent, signal });
      },
      async ({ states: saved, ...result }: Finished) => {
        await Promise.all(outputs.map(output => output.sync()));
        await journal!.append({ ...result, streams: await states.keep(saved) });
        durableParts++;
        await states.drop(saved);
      },
    );
    // their memory goes before the report takes its own, which grows with the model
    await free();
    await jobs.close();
    const { step } = journalled;
    const flowed = calibrated && runner && reportOf(calibrated, runner.engine);
    const ending = { prepared, inputs, options, folder, head, journal, step, results, start, stopping };
    return await finishRun({ ...ending, calibration: flowed });
  } catch (error) {
    await journal?.close();
    if (durableParts === 0) await discard(folder, outputs);
    throw error;
  } finally {
    await free();
    await jobs.close();
    for (const output of outputs) await output.close();
    await journal?.close();
  }
}

/** Decides under the lock what this run is, and sees to it that the journal says so. */
async function beginRun(
  prepared: Prepared,
  inputs: Inputs,
  { recipe, force = false }: ApplyOptions,
  folder: string,
  computes: ReturnType<typeof computesWith>,
): Promise<{ head: JournalHead; resumes: boolean }> {
  const { plan, outputs } = prepared;
  // asked again: another run may have come and gone since
  const state = await claimFolder(folder, force);
  const fingerprint = fingerprintOf(plan.model.source, inputs, VERSION, computes);
  const bytes = outputs.reduce((sum, output) => sum + output.files.reduce((n, file) => n + file.bytes, 0), 0);
  const { head: earlier, parts } = await readJournal(journalPath(folder));
  if (state === 'unfinished' && earlier !== undefined && !force) {
    compareFingerprints(earlier.fingerprint, fingerprint, folder);
    if (parts.size < plan.parts.length) await checkSpace(folder, bytes, earlier.files);
    return { head: earlier, resumes: true };
  }
  const files = runFiles(prepared, inputs, folder);
  const keep = [resolve(recipe), ...inputs.carried.map(({ from }) => from)];
  const replaces = await standing(folder, { files, keep });
  await checkSpace(folder, bytes, [...new Set([...files, ...replaces])]);
  const head: JournalHead = { fingerprint, files, replaces };
  // an unfinished run is worth nothing once it is given up
  const givenUp = state === 'unfinished' && replaces.length > 0;
  await startJournal(journalPath(folder), givenUp ? [head, { step: 'clear' }] : [head]);
  for (const path of [dirname(journalPath(folder)), folder, dirname(folder)]) await syncFolder(path);
  return { head, resumes: false };
}

const storedBy = (output: number, parts: Iterable<PartResult>) =>
  new Set([...parts].flatMap(({ tensors }) => tensors.filter(t => t.output === output).map(t => t.tensor)));

/** Runs `work`, whose results are seen to one after the other while it goes on; ends when all are, also when it fails. */
async function inBackground<T, R>(
  work: (pass: (result: T) => Promise<void>) => Promise<R>,
  see: (result: T) => Promise<void>,
): Promise<R> {
  let pending = Promise.resolve();
  try {
    const all = await work(async result => {
      await pending;
      pending = see(result);
      pending.catch(() => {}); // reported where it is awaited
    });
    await pending;
    return all;
  } finally {
    await pending.catch(() => {});
  }
}

/** Takes back what has been begun; what stood in the folder before still does. */
async function discard(folder: string, outputs: readonly Output[]): Promise<void> {
  try {
    for (const output of outputs) {
      await output.discard();
      if (output.folder !== folder) await rmdir(output.folder).catch(() => {});
    }
    await rm(hiddenFolder(folder), { recursive: true, force: true });
    await rm(journalPath(folder), { force: true });
  } catch {
    // a disk that does not let go of them: the error that led here says more
  }
}

/** Removes what is left of the state of a run that ended after run.json: journal, claim, folder. */
async function tidy(lock: Lock): Promise<void> {
  if (!existsSync(dirname(journalPath(lock.folder)))) return;
  try {
    await lockFolder(lock);
    if ((await folderState(lock.folder)) !== 'finished') return;
    await rm(hiddenFolder(lock.folder), { recursive: true, force: true });
    await rm(journalPath(lock.folder), { force: true });
  } catch (error) {
    // what cannot be removed stays: it does no harm
    if (error instanceof TensorpressError && error.code !== 'DISK') throw error;
  } finally {
    releaseLock(lock);
  }
}

async function refuseSource(folder: string, model: Model): Promise<void> {
  const real = async (path: string) => realpath(path).catch(() => path);
  const [out, source] = [await real(folder), await real(model.folder)];
  if (out === source || source.startsWith(out + sep)) {
    throw new TensorpressError('ARGUMENT', `the output folder ${folder} holds the model itself`, {
      hint: 'choose another folder with --out',
    });
  }
}
