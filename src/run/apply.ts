import { dirname, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { endsTheProcess, neverEnds } from '../recipe/plugins/ended.js';
import type { Device, EngineName } from '../runtime/engine/engine.js';
import type { RunEvent } from './events.js';
import { journalPath } from './files.js';
import { readJournal } from './journal.js';
import { newLock, releaseLock, type Lock } from './lock.js';
import type { PlanOptions } from './prepare.js';
import type { Report } from './report.js';
import type { PlanSummary } from './summary.js';
import { Stopped } from './stopping.js';
import { inThread, type ThreadEnd } from './thread.js';

export interface ApplyOptions extends PlanOptions {
  /** The run folder: checkpoint, run.json and report. */
  readonly out: string;
  /** Replace what the folder holds, an unfinished run included. Default: false. */
  readonly force?: boolean;
  /**
   * Threads that compute beside the run's own. They change nothing of the result but the last bits of what an evaluation finds. Default: one per
   * core, fewer for a small model.
   */
  readonly threads?: number;
  /** What runs the model where the recipe asks for an evaluation, and where. */
  readonly engine?: EngineName;
  readonly device?: Device | 'auto';
  /** The date that the report carries. Default: now. */
  readonly date?: Date;
}

export interface Applied {
  readonly folder: string;
  readonly report: Report;
}

/** What the run's thread is given. */
export interface Task {
  readonly options: ApplyOptions;
  readonly lock: Lock;
}

/**
 * Compresses a model by a recipe; an unfinished run of the same recipe and model in the folder is continued. The whole run lives in a
 * thread of its own, so this one stays free, and aborting ends it at once: what is on the disk is enough to go on from.
 * @throws TensorpressError; the folder looks finished (holds run.json) only when everything in it is
 */
export async function apply({ onEvent = () => {}, signal, now: _now, ...options }: ApplyOptions): Promise<Applied> {
  const stages = stageKeeper(dirname(options.recipe));
  const lock = newLock(resolve(options.out));
  const task: Task = { options, lock };
  let begun = false;
  try {
    return await inThread<Task, RunEvent, Applied>(new URL('./apply-thread.js', import.meta.url), task, {
      signal,
      hint: 'nothing that was finished is lost: run the same command again',
      mayHang: () => stages.mayHang(),
      blame: end => stages.blame(end),
      onEvent(event) {
        begun = true;
        stages.see(event);
        onEvent(event);
      },
    });
  } catch (error) {
    throw error instanceof Stopped ? await interrupted(stages, begun ? lock.folder : undefined) : error;
  } finally {
    // a thread that was ended could not do it
    releaseLock(lock);
  }
}

/**
 * Remembers where a run is, for when it is stopped.
 * @param folder of the recipe
 */
function stageKeeper(folder: string) {
  let where = 'before work began';
  let layers = 0;
  let plugins: PlanSummary['plugins'] | undefined;
  let step: (RunEvent & { type: 'step' }) | undefined;
  const plugin = () => plugins?.find(({ modifiers }) => step !== undefined && modifiers.includes(step.modifier));
  const observing = () => plugins?.find(({ observers }) => step !== undefined && observers.length > 0);
  const placeOf = (own?: { readonly path: string }) => (own ? { file: resolve(folder, own.path) } : {});
  return {
    where: () => (plugin() === undefined ? where : `${where}, in ${step!.modifier}`),
    /** Whether a user's code may be at work. */
    mayHang: () => (plugin() ?? observing()) !== undefined,
    /** The error of a plugin that has ended the run's thread, as far as it is known that it was one. */
    blame(end: ThreadEnd) {
      const own = plugin();
      if (end === 'waiting') {
        if (own !== undefined) return neverEnds(`${step!.modifier} never ends its edit of ${step!.part}`, placeOf(own));
        const observer = observing();
        const who = observer === undefined ? 'a plugin of the recipe' : `observer ${observer.observers.join(', ')}`;
        return neverEnds(`${who} never ends what it has begun`, placeOf(observer));
      }
      if (own === undefined) return 'exit' in end ? endsTheProcess(end.exit) : undefined;
      const how = 'thrown' in end ? end.thrown : `process.exit(${end.exit})`;
      return new TensorpressError('PLUGIN', `${step!.modifier} fails in ${step!.part}: ${how}`, {
        place: placeOf(own),
        hint: 'this is an error of the plugin: nothing awaits what has failed, or it ends the process',
      });
    },
    see(event: RunEvent) {
      if (event.type === 'step') step = event;
      if (event.type === 'evaluation' || event.type === 'done') step = undefined;
      if (event.type === 'plan') plugins = event.plan.plugins;
      if (event.type === 'download') where = `while ${event.file} was being downloaded`;
      if (event.type === 'plan') {
        where = 'before work began';
        layers = event.plan.model.layers;
      }
      if (event.type === 'evaluation') where = 'while the result was judged';
      if (event.type !== 'progress') return;
      const of = event.part.startsWith('layers.') ? ` of ${layers}` : '';
      where = `in ${event.part}${of}, ${Math.floor((100 * event.done) / Math.max(1, event.total))} % done`;
    },
  };
}

/** What the journal says is what will be gone on from. */
async function interrupted(stages: { where(): string }, folder: string | undefined): Promise<TensorpressError> {
  const journal = folder === undefined ? undefined : await readJournal(journalPath(folder)).catch(() => undefined);
  const last = [...(journal?.parts.keys() ?? [])].at(-1);
  return new TensorpressError('INTERRUPTED', `stopped ${stages.where()}; nothing is lost`, {
    hint: last === undefined ? 'run the same command again' : `the same command goes on after ${last}`,
  });
}
