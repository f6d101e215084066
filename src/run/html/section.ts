import type { Report } from '../report.js';
import type { Damage } from './damage.js';
import { markup, type Markup } from './markup.js';

/** What every section is made from. */
export interface View {
  readonly report: Report;
  readonly damage: Damage;
}

/** A part of the page under a heading of its own. */
export interface Section {
  /** Anchor, in kebab case. */
  readonly id: string;
  readonly title: string;
  /** What to know before reading on, in a sentence or two. */
  readonly lead?: Markup;
  readonly body: Markup;
}

/** Makes a section, or nothing when the report has nothing to say there. */
export type SectionOf = (view: View) => Section | undefined | Promise<Section | undefined>;

/** The section as markup; its heading names it for those who jump between headings and regions. */
export function sectionHtml({ id, title, lead, body }: Section): Markup {
  return markup`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${lead && markup`<p class="lead">${lead}</p>\n`}${body}
</section>
`;
}

/**
 * A small table: heads, and rows of as many cells, the first of which names its row.
 * @param options.figures how many of the last columns are figures, which stand at the right
 * @param options.kind a class of its own for the style sheet
 */
export function plainTable(
  name: string,
  heads: readonly string[],
  rows: readonly (readonly (Markup | string)[])[],
  { figures = 0, kind: extra = '' } = {},
): Markup {
  const kind = (i: number) => (i >= heads.length - figures ? markup` class="figure"` : undefined);
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="${name}"><table class="${['plain', extra].join(' ').trimEnd()}">
<thead><tr>${heads.map((head, i) => markup`<th scope="col"${kind(i)}>${head}</th>`)}</tr></thead>
<tbody>
${rows.map(([first, ...cells]) => markup`<tr><th scope="row">${first}</th>${cells.map((cell, i) => markup`<td${kind(i + 1)}>${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>
`;
}
