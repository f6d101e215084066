import { codePoints, type At } from './source.js';

/** Columns of a frame, before its gutter is added. */
const WIDTH = 100;
const GUTTER = 6;

/**
 * A caret frame: the line before (unless it is blank or the line is cut), the line, and carets under the range. Long lines are cut around the carets, control
 * characters and tabs take one column each, so that nothing in a file can disturb the terminal or the alignment.
 */
export function frameOf({ source, from, to }: At): string {
  const { line, column } = source.position(from);
  const text = clean(source.line(line) ?? '');
  const start = Math.min(column - 1, text.length); // the place may be the line break

  const length = Math.max(
    1,
    Math.min(codePoints(source.text.slice(from, to).split(/\r?\n/, 1)[0]!).length, text.length - start),
  );

  const shift = text.length <= WIDTH ? 0 : Math.max(0, Math.min(start - 20, text.length + 1 - WIDTH));
  const before = line > 1 && shift === 0 && !source.options.separateLines ? clean(source.line(line - 1)!) : [];
  const rows = before.some(c => c !== ' ') ? [`${gutter(line - 1)}${cut(before, shift)}`] : [];
  rows.push(`${gutter(line)}${cut(text, shift)}`);
  rows.push(`${gutter('')}${' '.repeat(start - shift)}${'^'.repeat(Math.min(length, WIDTH - (start - shift)))}`);
  return rows.map(row => row.trimEnd()).join('\n');
}

function gutter(number: number | string): string {
  return `${String(number).padStart(GUTTER)} | `;
}

/** One visible character per column. */
function clean(line: string): string[] {
  return codePoints(line).map(c => (c === '\t' ? ' ' : /[\p{C}\u2028\u2029]/u.test(c) ? '\u00b7' : c));
}

function cut(text: readonly string[], shift: number): string {
  const head = shift > 0 ? '\u2026' : '';
  const tail = text.length > shift + WIDTH ? '\u2026' : '';
  return head + text.slice(shift + head.length, shift + WIDTH - tail.length).join('') + tail;
}
