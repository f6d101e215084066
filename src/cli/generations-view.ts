import { agreement, oneLine } from '../run/generation-text.js';
import type { Generation } from '../run/generations.js';
import type { Screen } from './screen.js';

/** Lines of texts do not become longer, however wide the window is. */
const WIDEST = 100;

/** Each prompt, and below it how base and model go on. */
export function generationLines(
  generations: readonly Generation[],
  { columns, color }: Pick<Screen, 'columns' | 'color'>,
): string[] {
  const width = Math.min(columns, WIDEST);
  return generations.flatMap(({ prompt, base, model, ...length }) => [
    '',
    ...wrap(oneLine(prompt), width - 2).map(line => color.dim(`  ${line}`)),
    ...beside('base', base, width),
    ...beside('model', model, width),
    color.dim(`  ${agreement(length)}`),
  ]);
}

/** `  base   text`, and the lines that follow below the text. */
function beside(name: string, text: Generation['base'], width: number): string[] {
  return wrap(oneLine(text), width - 11).map((line, i) => `  ${(i === 0 ? name : '').padEnd(7)}  ${line}`.trimEnd());
}

/** Lines of up to `width` characters, broken at spaces where there are any. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  const room = Math.max(20, width);
  while (rest.length > room) {
    const space = rest.lastIndexOf(' ', room);
    const end = space > 0 ? space : room;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}
