import { printable } from '../../../formats/printable.js';
import { markup } from '../markup.js';
import type { Section, View } from '../section.js';

/** The command that makes the same bytes again, and where the hashes are that prove it. */
export function againSection({ report }: View): Section {
  const model = shellWord(printable(report.plan.model.name));
  return {
    id: 'again',
    title: 'How to get these numbers again',
    body: markup`<pre tabindex="0"><code>tensorpress apply recipe.yaml --model ${model} --out again</code></pre>
<p class="lead">With tensorpress ${report.tensorpress} and the <code>recipe.yaml</code> beside this page. <code>run.json</code> holds the SHA-256 of every input and output, <code>report.json</code> every figure of this page.</p>`,
  };
}

/** A word that a shell takes as it is. */
function shellWord(text: string): string {
  return /^[\w./@:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
