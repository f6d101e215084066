import { printable } from '../../formats/printable.js';
import type { Report } from '../report.js';
import { damageOf } from './damage.js';
import { day } from './figures.js';
import { headHtml } from './head.js';
import { documentHtml } from './document.js';
import { markup } from './markup.js';
import { sectionHtml, type SectionOf, type View } from './section.js';
import { againSection } from './sections/again.js';
import { costSection } from './sections/cost.js';
import { damageSection } from './sections/damage.js';
import { modulesSection } from './sections/modules.js';
import { planSection } from './sections/plan.js';
import { qualitySection } from './sections/quality.js';
import { remarksSection } from './sections/remarks.js';
import { taskSection } from './sections/task.js';
import { textsSection } from './sections/texts.js';
import { worstSection } from './sections/worst.js';

/** The page from top to bottom; one more section is one more file and one more line here. */
const SECTIONS: readonly SectionOf[] = [
  damageSection,
  qualitySection,
  taskSection,
  textsSection,
  modulesSection,
  worstSection,
  planSection,
  remarksSection,
  costSection,
  againSection,
];

/**
 * report.html: the report as one page that needs nothing beside it. A pure function of report.json: same report, same bytes.
 */
export async function reportHtml(report: Report): Promise<string> {
  const view: View = { report, damage: damageOf(report.modules) };
  const sections = [];
  for (const sectionOf of SECTIONS) {
    const section = await sectionOf(view);
    if (section !== undefined) sections.push(sectionHtml(section));
  }
  return documentHtml({
    title: `${printable(report.title)} · tensorpress report`,
    main: markup`${headHtml(view)}${sections}`,
    footer: `tensorpress ${report.tensorpress} · ${day(report.date)}`,
  });
}
