import type { Diagnostic } from '../../../errors.js';
import { printable } from '../../../formats/printable.js';
import { exactSentence } from '../../report.js';
import { counted } from '../figures.js';
import { markup, type Markup } from '../markup.js';
import { moduleName } from '../names.js';
import type { Section, View } from '../section.js';

const NAMES = 4;
const LINES = 40;

/** What the plan and the run had to say: warnings, what was inferred about the model, what of the calibration data was left out, remarks of modifiers. Equal remarks are one line. */
export function remarksSection({ report }: View): Section | undefined {
  const { warnings, model } = report.plan;
  const { exact_arithmetic: exact } = report;
  const modulesOf = new Map<string, string[]>();
  for (const { message, module } of report.remarks) {
    const names = modulesOf.get(message) ?? [];
    if (module !== undefined) names.push(module);
    modulesOf.set(message, names);
  }
  const lines = [
    ...warnings.map(warning),
    ...(exact === null ? [] : [markup`<li>${exactSentence(exact)}</li>\n`]),
    ...[...model.notes, ...(report.calibration?.notes ?? [])].map(note => markup`<li>${text(note)}</li>\n`),
    ...[...modulesOf].map(([message, names]) => markup`<li>${text(message)}${where(names)}</li>\n`),
  ];
  if (lines.length === 0) return undefined;
  const rest = lines.length - LINES;
  const more = rest > 0 ? markup`<li>${counted(rest, 'more remark')} in report.json</li>\n` : undefined;
  return {
    id: 'remarks',
    title: 'Remarks',
    body: markup`<ul>
${lines.slice(0, LINES)}${more}</ul>`,
  };
}

function warning({ line, message, hint }: Diagnostic): Markup {
  const place = line === undefined ? '' : `line ${line} of the recipe: `;
  return markup`<li class="warning"><b>warning</b> ${place}${text(message)}${hint === undefined ? '' : `; ${text(hint)}`}</li>\n`;
}

function text(sentence: string): string {
  return printable(sentence, 1000);
}

function where(modules: readonly string[]): Markup | undefined {
  if (modules.length === 0) return undefined;
  const rest = modules.length - NAMES;
  const names = modules.slice(0, NAMES).map((name, i) => [i === 0 ? '' : ', ', moduleName(name)]);
  return markup`: ${names}${rest > 0 ? ` and ${counted(rest, 'more module')}` : ''}`;
}
