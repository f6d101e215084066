import { printable } from '../../../formats/printable.js';
import { questionsOf, taskRows } from '../../task-rows.js';
import { markup } from '../markup.js';
import { plainTable, type Section, type View } from '../section.js';

/** How many multiple-choice questions were answered right. */
export function taskSection({ report }: View): Section | undefined {
  const task = report.quality?.task;
  if (task === undefined) return undefined;
  const rows = taskRows(task).map(({ figure, value, interval }) => [figure, value, interval]);
  return {
    id: 'questions',
    title: 'Questions',
    lead: markup`${printable(questionsOf(task))}, each answered by the most likely choice; by length: the most likely per character.`,
    body: plainTable('Questions', ['answers', 'value', '95 % interval'], rows, { figures: 2, kind: 'task' }),
  };
}
