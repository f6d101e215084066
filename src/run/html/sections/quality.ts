import { printable } from '../../../formats/printable.js';
import { qualityRows, textOf } from '../../quality.js';
import { counted } from '../figures.js';
import { markup } from '../markup.js';
import { plainTable, type Section, type View } from '../section.js';

/** What the model still can do: every figure of the evaluation, with its interval and what it means. */
export function qualitySection({ report }: View): Section | undefined {
  const { quality } = report;
  if (quality === undefined) return undefined;
  const rows = qualityRows(quality).map(({ figure, value, interval, meaning }) => [figure, value, interval, meaning]);
  const intervals = quality.intervals === null ? '' : ' Intervals are 95 % of a bootstrap over windows.';
  return {
    id: 'quality',
    title: 'What was lost',
    lead: markup`${printable(textOf(quality))}; ${counted(quality.scored, 'token')} predicted.${intervals}`,
    body: markup`${plainTable('What was lost', ['figure', 'value', '95 % interval', 'in words'], rows, { kind: 'quality' })}
${quality.notes.length > 0 ? markup`<ul>\n${quality.notes.map(note => markup`<li>${printable(note, 400)}</li>\n`)}</ul>` : undefined}`,
  };
}
