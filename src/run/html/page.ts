import { createHash } from 'node:crypto';
import { printable } from '../../formats/printable.js';
import type { Report } from '../report.js';
import { damageOf } from './damage.js';
import { day } from './figures.js';
import { headHtml } from './head.js';
import { markup, trusted } from './markup.js';
import { SCRIPT } from './script.js';
import { sectionHtml, type SectionOf, type View } from './section.js';
import { againSection } from './sections/again.js';
import { costSection } from './sections/cost.js';
import { damageSection } from './sections/damage.js';
import { modulesSection } from './sections/modules.js';
import { planSection } from './sections/plan.js';
import { qualitySection } from './sections/quality.js';
import { remarksSection } from './sections/remarks.js';
import { worstSection } from './sections/worst.js';
import { STYLE } from './style.js';

/** The page from top to bottom; one more section is one more file and one more line here. */
const SECTIONS: readonly SectionOf[] = [
  damageSection,
  qualitySection,
  modulesSection,
  worstSection,
  planSection,
  remarksSection,
  costSection,
  againSection,
];

/**
 * report.html: the report as one page that needs nothing beside it. A pure function of report.json: same report, same bytes. Its content
 * security policy lets it load nothing and run only its own script, whatever a model calls its modules.
 */
export async function reportHtml(report: Report): Promise<string> {
  const view: View = { report, damage: damageOf(report.modules) };
  const sections = [];
  for (const sectionOf of SECTIONS) {
    const section = await sectionOf(view);
    if (section !== undefined) sections.push(sectionHtml(section));
  }
  const scriptHash = createHash('sha256').update(SCRIPT).digest('base64');
  const policy = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${scriptHash}'`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${printable(report.title)} · tensorpress report</title>
<link rel="icon" href="data:,">
<style>${trusted(STYLE)}</style>
<noscript><style>tbody[hidden] { display: table-row-group; }</style></noscript>
</head>
<body>
<main>
${headHtml(view)}${sections}</main>
<footer><p>tensorpress ${report.tensorpress} · ${day(report.date)}</p></footer>
<script>${trusted(SCRIPT)}</script>
</body>
</html>
`.text;
}
