import { TensorpressError } from '../errors.js';
import { encodeChoice, parseTask, taskFigures, type Question, type TaskFigures } from '../evaluation/tasks.js';
import type { Engine } from '../runtime/engine/engine.js';
import { readText, textFile } from '../runtime/text/files.js';
import type { Row } from '../runtime/text/texts.js';
import type { EvaluateEvent } from './evaluate.js';
import { batchesOf } from './forward/batches.js';
import type { Forward } from './forward/forward.js';
import type { Runnable } from './forward/runnable.js';
import { judgeAlone } from './judge.js';
import { progress } from './share.js';
import type { SharedTokenizer } from './shared-tokenizer.js';

/** Questions, and their choices as rows of tokens. */
export interface Task {
  readonly file: string;
  readonly questions: readonly Question[];
  /** Question by question and choice by choice; the tokens of the choice are scored. */
  readonly rows: readonly Row[];
}

/** What is found of a model's answers, and of its base's. */
export type TaskResult = { readonly file: string } & TaskFigures & { readonly base?: TaskFigures };

/**
 * Reads a file of questions.
 * @throws TensorpressError ARGUMENT when the file cannot be used; MODEL when there is no tokenizer, or none that can begin a text
 */
export async function readTask(path: string, tokenizer: SharedTokenizer): Promise<Task> {
  const file = textFile(path);
  const questions = parseTask((await readText(file)).text, file.name);
  const { encode, bos, eos } = await tokenizer.load();
  const prefix = bos ?? eos[0];
  const rows = questions.flatMap(({ context, choices }) =>
    choices.map((choice): Row => {
      if (prefix === undefined && context.trim() === '') throw withoutPrefix(file.name, tokenizer.folder);
      const { ids, scored } = encodeChoice(context, choice, text => encode(text), prefix ?? 0);
      // the first token follows nothing, so nothing predicts it
      return { ids, scoredFrom: Math.max(1, ids.length - scored) };
    }),
  );
  return { file: path, questions, rows };
}

function withoutPrefix(file: string, folder: string): TensorpressError {
  return new TensorpressError(
    'MODEL',
    `${file} has a question without context, and the tokenizer no token to begin with`,
    {
      place: { file: folder },
      hint: 'name a bos_token in tokenizer_config.json, or give every question a context',
    },
  );
}

export interface JudgeTask {
  readonly engine: Engine;
  readonly model: Runnable;
  readonly base: Runnable | undefined;
  /** Takes how far it is: may throw to stop. */
  readonly tell: (event: EvaluateEvent) => void;
}

/** Answers of a model, and of its base: the choice whose tokens are the most likely after the context. */
export async function judgeTask(task: Task, { engine, model, base, tell }: JudgeTask): Promise<TaskResult> {
  const { file, questions, rows } = task;
  const models = base === undefined ? [model] : [model, base];
  const inOrder = [...rows.keys()].sort((a, b) => rows[a]!.ids.length - rows[b]!.ids.length || a - b);
  const sorted = inOrder.map(row => rows[row]!);
  const ids = sorted.map(row => row.ids);
  const forwards = models.map(({ decoder, reader, alone }): Forward => ({
    engine,
    decoder,
    reader,
    batches: batchesOf(ids, { alone }),
  }));
  const tick = progress(forwards, tell, 'task');
  const figures: TaskFigures[] = [];
  for (const forward of forwards) {
    const nlls = await judgeAlone({ ...forward, tick }, sorted, undefined);
    const likelihoods = new Float64Array(rows.length);
    let at = 0;
    sorted.forEach(({ ids, scoredFrom }, i) => {
      for (let t = scoredFrom; t < ids.length; t++) likelihoods[inOrder[i]!]! -= nlls[at++]!;
    });
    figures.push(taskFigures(questions, byQuestion(questions, likelihoods)));
  }
  const [own, other] = figures;
  return { file, ...own!, ...(other === undefined ? {} : { base: other }) };
}

function byQuestion(questions: readonly Question[], likelihoods: Float64Array): number[][] {
  let from = 0;
  return questions.map(({ choices }) => [...likelihoods.subarray(from, (from += choices.length))]);
}
