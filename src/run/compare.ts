import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { TensorpressError } from '../errors.js';
import type { Interval } from '../evaluation/bootstrap.js';
import { folderState } from './files.js';
import { textOf } from './quality.js';
import type { Report } from './report.js';
import type { TaskResult } from './task.js';

/** One run among those that are compared. */
export interface ComparedRun {
  /** Of the folder, or the whole path where two folders have one name. */
  readonly name: string;
  readonly folder: string;
  readonly title: string;
  /** The model that was compressed. */
  readonly base: string;
  /** Bytes of all tensors of the first output. */
  readonly size: number;
  readonly bits_per_weight: number;
  readonly perplexity: number;
  readonly base_perplexity: number;
  /** Mean KL(base || model) in nats, and its interval; null for a single window. */
  readonly kl: number;
  readonly kl_interval: Interval | null;
  readonly same_top1: number;
  /** Share of right answers to the questions of its evaluation; null where a run had none, or others than the rest. */
  readonly accuracy: number | null;
  /** Of the run, without the evaluation. */
  readonly seconds: number;
  /** What was read: the text and its windows. */
  readonly text: string;
  readonly rows_sha256: string;
  /** Whether no other run is both smaller and nearer to the original; null where the runs are not `comparable`. */
  readonly on_front: boolean | null;
  readonly verdict: string;
  /** recipe.yaml with one field on a line, without the recipes that came before it. */
  readonly recipe: string;
}

export interface RunComparison {
  readonly version: 1;
  /** In the order in which they are given. */
  readonly runs: readonly ComparedRun[];
  /** Whether figures of the runs can be held against each other: one base, one text, one way of scoring. */
  readonly comparable: boolean;
  /** Why not. */
  readonly notes: readonly string[];
}

/**
 * What several runs cost and lost, side by side.
 * @param folders run folders, two or more, finished and evaluated
 * @throws TensorpressError ARGUMENT
 */
export async function compareRuns(folders: readonly string[]): Promise<RunComparison> {
  if (folders.length < 2) {
    throw new TensorpressError('ARGUMENT', 'one run has nothing to be compared with', {
      hint: 'name two run folders or more',
    });
  }
  const last = folders.map(folder => basename(resolve(folder)));
  const isAlone = (name: string) => last.indexOf(name) === last.lastIndexOf(name);
  const names = folders.map((folder, i) => (isAlone(last[i]!) ? last[i]! : folder));
  const runs = await Promise.all(folders.map((folder, i) => readRun(folder, names[i]!)));
  const notes = differences(runs);
  const comparable = notes.length === 0;
  const alike = new Set(runs.map(questionsKey)).size === 1;
  return {
    version: 1,
    runs: runs.map(({ protocol: _, context: __, task, ...run }) => ({
      ...run,
      accuracy: alike ? (task?.accuracy ?? null) : null,
      on_front: comparable ? !runs.some(other => beats(other, run)) : null,
    })),
    comparable,
    notes,
  };
}

type Read = Omit<ComparedRun, 'on_front' | 'accuracy'> & {
  readonly protocol: string;
  readonly context: number;
  readonly task: TaskResult | undefined;
};

async function readRun(folder: string, name: string): Promise<Read> {
  const place = { file: folder };
  const refuse = (sentence: string, hint: string, cause?: unknown) =>
    new TensorpressError('ARGUMENT', sentence, { place, hint, cause });
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  const state = await folderState(folder);
  if (state === 'unfinished' || state === 'replacing') {
    throw refuse(`the run in ${folder} is not finished`, 'the command that began it goes on with it');
  }
  if (state !== 'finished') {
    throw refuse(
      `${folder} is no run folder: it holds no run.json`,
      'name a folder that `tensorpress apply` has written',
    );
  }
  let report: Report;
  let recipe: string;
  try {
    report = JSON.parse(await read('report.json')) as Report;
    recipe = byLines(await read('recipe.yaml'));
  } catch (error) {
    throw refuse(
      `the report.json or the recipe.yaml of ${folder} cannot be read: ${(error as Error).message}`,
      'both are part of a run folder',
      error,
    );
  }
  const { quality } = report;
  if (quality === undefined) {
    throw refuse(
      `the report of ${folder} says nothing of quality`,
      'give its recipe an `evaluation: {data: TEXT}` and apply it again',
    );
  }
  return {
    name,
    folder,
    title: report.title,
    base: report.plan.model.name,
    size: report.size.after,
    bits_per_weight: report.bits_per_weight,
    perplexity: quality.perplexity,
    base_perplexity: quality.base_perplexity,
    kl: quality.kl.mean,
    kl_interval: quality.intervals?.kl_mean ?? null,
    same_top1: quality.same_top1,
    seconds: report.seconds,
    text: textOf(quality),
    rows_sha256: quality.rows_sha256,
    verdict: report.verdict,
    recipe,
    protocol: quality.protocol,
    context: quality.context,
    task: quality.task,
  };
}

/** The same for runs that were asked the same: their original answers as well as it does. */
function questionsKey({ task }: Read): string | undefined {
  return task && `${task.questions} ${task.base?.accuracy} ${task.base?.accuracy_norm}`;
}

/** A recipe with one field on a line, so that two of them differ in lines; without the recipes that came before it. */
function byLines(text: string): string {
  const { history: _, ...recipe } = parse(text) as Record<string, unknown>;
  return stringify(recipe, { lineWidth: 0 });
}

/** Why figures of these runs are not of one kind. */
function differences(runs: readonly Read[]): string[] {
  const differ = (of: (run: Read) => unknown) => new Set(runs.map(of)).size > 1;
  const each = (of: (run: Read) => string) => runs.map(run => `${run.name}: ${of(run)}`).join('; ');
  return [
    ...(differ(({ base }) => base) ? [`the runs compress different models (${each(({ base }) => base)})`] : []),
    ...(differ(run => run.rows_sha256)
      ? [`the runs were judged on different texts (${each(({ text }) => text)})`]
      : differ(({ protocol, context }) => `${protocol} ${context}`)
        ? [`the runs were scored in different ways (${each(({ text }) => text)})`]
        : []),
  ];
}

/** Not larger and not farther from the original, and one of both better. */
function beats(a: Read, b: Pick<Read, 'size' | 'kl'>): boolean {
  return a.size <= b.size && a.kl <= b.kl && (a.size < b.size || a.kl < b.kl);
}
