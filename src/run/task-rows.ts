import { shareInterval } from '../evaluation/statistics.js';
import type { TaskResult } from './task.js';

/** A share of right answers for people. */
export interface TaskRow {
  readonly figure: string;
  readonly value: string;
  /** Wilson's, of 95 %. */
  readonly interval: string;
}

/** The shares of right answers, plain and by length, each of the model and then of the original. */
export function taskRows({ base, ...own }: TaskResult): TaskRow[] {
  const both = (figure: string, name: 'accuracy' | 'accuracy_norm') => [
    row(figure, own[name], own.questions),
    ...(base === undefined ? [] : [row('of the original', base[name], own.questions)]),
  ];
  return [...both('right answers', 'accuracy'), ...both('right, by length', 'accuracy_norm')];
}

function row(figure: string, share: number, questions: number): TaskRow {
  const { low, high } = shareInterval(share, questions);
  return { figure, value: percent(share), interval: `${percent(low)} to ${percent(high)}` };
}

/** `80 questions of task.jsonl`, without the folder that it lies in. */
export function questionsOf({ file, questions }: Pick<TaskResult, 'file' | 'questions'>): string {
  return `${questions} ${questions === 1 ? 'question' : 'questions'} of ${file.split(/[\\/]/).at(-1)!}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
