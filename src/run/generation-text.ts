import { diffWordsWithSpace } from 'diff';
import { printable } from '../formats/printable.js';
import type { Generation } from './generations.js';

/** A piece of a text. */
export interface Span {
  readonly text: string;
  /** Whether the other text does not have it. */
  readonly differs: boolean;
}

/** A text on one line, without what would steer a terminal; token ids where there is no text. */
export function oneLine(text: Generation['prompt']): string {
  if (typeof text !== 'string') return text.join(' ');
  const line = text.trim().replace(/\s*\n\s*/g, ' ⏎ ');
  return printable(line, line.length);
}

/** Two continuations, each on one line, by the words that only one of them has. */
export function differingWords({ base, model }: Pick<Generation, 'base' | 'model'>): {
  readonly base: Span[];
  readonly model: Span[];
} {
  const changes = diffWordsWithSpace(oneLine(base), oneLine(model));
  const spans = (side: 'removed' | 'added', other: 'removed' | 'added') =>
    joined(changes.filter(change => !change[other]).map(change => ({ text: change.value, differs: change[side] })));
  return { base: spans('removed', 'added'), model: spans('added', 'removed') };
}

/** Without seams: words that differ take the space between them along, and pieces of one kind are one. */
function joined(spans: readonly Span[]): Span[] {
  const all: Span[] = [];
  for (const [i, { text, differs }] of spans.entries()) {
    const between = text.trim() === '' && spans[i - 1]?.differs === true && spans[i + 1]?.differs === true;
    const last = all.at(-1);
    const marked = differs || between;
    if (last?.differs === marked) all[all.length - 1] = { text: last.text + text, differs: marked };
    else all.push({ text, differs: marked });
  }
  return all;
}

/** How far two continuations are the same, in a sentence without its full stop. */
export function agreement({ same_tokens: same, tokens }: Pick<Generation, 'same_tokens' | 'tokens'>): string {
  if (same === tokens) return `all ${tokens} tokens are the same`;
  return same === 0 ? 'they differ from the first token on' : `the first ${same} of ${tokens} tokens are the same`;
}
