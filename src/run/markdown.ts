import { worstModules, type ModuleReport, type Report } from './report.js';
import { formatBytes, formatDuration, formatScheme } from './units.js';

/** report.md: the report for a terminal or a code host. */
export function reportMarkdown(report: Report): string {
  const { plan, size } = report;
  const quantized = report.modules.filter(({ relMSE }) => relMSE !== undefined);
  return [
    `# ${report.title}`,
    '',
    report.verdict,
    '',
    '| | before | after |',
    '|---|---:|---:|',
    `| size | ${formatBytes(size.before)} | ${formatBytes(size.after)} |`,
    `| bits per weight | ${((size.before * 8) / plan.model.parameters).toFixed(2)} | ${report.bits_per_weight.toFixed(2)} |`,
    ...(report.bits_per_quantized_weight === null
      ? []
      : [`| bits per quantized weight | | ${report.bits_per_quantized_weight.toFixed(2)} |`]),
    '',
    ...section('Largest errors', moduleTable(worstModules(report.modules, 10))),
    ...section('Modules', moduleTable(quantized)),
    ...section(
      'Left as they are',
      report.modules.filter(m => m.scheme?.weights == null).map(m => `- ${m.module}`),
    ),
    ...section('Remarks', [
      ...plan.model.notes.map(note => `- ${note}`),
      ...plan.warnings.map(({ message }) => `- ${message}`),
      ...report.remarks.map(({ module, message }) => `- ${module === undefined ? '' : `${module}: `}${message}`),
    ]),
    ...section('How to get this again', [
      '`tensorpress apply recipe.yaml --model MODEL --out DIR` with the recipe.yaml of this folder; run.json holds the hash of every input and output.',
      '',
      `Made by tensorpress ${report.tensorpress} on ${report.date.slice(0, 10)} in ${formatDuration(report.seconds * 1000)}, peak memory ${formatBytes(report.peak_memory_bytes)}.`,
    ]),
  ].join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`## ${title}`, '', ...lines, ''];
}

function moduleTable(modules: readonly ModuleReport[]): string[] {
  if (modules.length === 0) return [];
  return [
    '| module | shape | scheme | bits | SQNR dB | relMSE | max error |',
    '|---|---:|---|---:|---:|---:|---:|',
    ...modules.map(({ module, shape: [r, c], scheme, bits_per_weight, sqnr_db, relMSE, max_error }) => {
      const what = scheme?.weights ? formatScheme(scheme.weights) : '';
      const figures = [
        bits_per_weight.toFixed(2),
        sqnr_db?.toFixed(1) ?? 'exact',
        relMSE?.toExponential(2) ?? '',
        max_error?.toExponential(2) ?? '',
      ];
      return `| ${module} | ${r} x ${c} | ${what} | ${figures.join(' | ')} |`;
    }),
  ];
}
