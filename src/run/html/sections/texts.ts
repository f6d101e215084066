import { agreement, differingWords, oneLine, type Span } from '../../generation-text.js';
import type { Generation } from '../../generations.js';
import { counted } from '../figures.js';
import { markup, type Markup } from '../markup.js';
import type { Section, View } from '../section.js';

/** How the model and its original continue texts, side by side. */
export function textsSection({ report }: View): Section | undefined {
  const generations = report.quality?.generations ?? [];
  if (generations.length === 0) return undefined;
  return {
    id: 'texts',
    title: 'How it goes on',
    lead: markup`${counted(generations.length, 'text')}, continued by the most likely token each time. Marked: words that only one of both has.`,
    body: markup`<div class="texts">
${generations.map(text)}</div>`,
  };
}

function text(generation: Generation): Markup {
  const { base, model } = differingWords(generation);
  return markup`<figure>
<figcaption>${oneLine(generation.prompt)}</figcaption>
<dl><div><dt>original</dt><dd>${base.map(span)}</dd></div>
<div><dt>this model</dt><dd>${model.map(span)}</dd></div></dl>
<p>${agreement(generation)}</p>
</figure>
`;
}

function span({ text, differs }: Span): Markup | string {
  return differs ? markup`<mark>${text}</mark>` : text;
}
