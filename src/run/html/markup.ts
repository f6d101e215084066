/** Markup that is safe to put into a page: made by `markup`, which escapes whatever is not markup already. */
export class Markup {
  constructor(readonly text: string) {}
}

export type Content = string | number | Markup | undefined | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Template tag for markup. Strings are escaped, lists are joined, undefined is nothing, and a number that is not finite is a dash, so that a
 * hostile name or a missing figure cannot break the page. Attribute values belong in double quotes.
 */
export function markup(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(strings.map((text, i) => (i === 0 ? text : render(values[i - 1]) + text)).join(''));
}

/** Markup that was not made by `markup`: a style sheet, a script, an image of the plotting library. */
export function trusted(markup: string): Markup {
  return new Markup(markup);
}

function render(value: Content): string {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '–';
  return value.map(render).join('');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => ENTITIES[character]!);
}
