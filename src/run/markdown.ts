import { printable } from '../formats/printable.js';
import { patterns } from '../runtime/model/untouched.js';
import { agreement, oneLine } from './generation-text.js';
import type { Generation } from './generations.js';
import { qualityRows, textOf, type Quality } from './quality.js';
import { exactSentence, worstModules, type CalibrationReport, type ModuleReport, type Report } from './report.js';
import { questionsOf, taskRows } from './task-rows.js';
import type { TaskResult } from './task.js';
import { treatmentLines } from './treatments.js';
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
    ...section('What became what', treatmentLines(report)),
    ...section('Calibration', calibrationLines(report.calibration)),
    ...(report.quality === undefined ? [] : section('What was lost', qualityLines(report.quality))),
    ...section('Questions', taskLines(report.quality?.task)),
    ...section('How it goes on', (report.quality?.generations ?? []).flatMap(textLines)),
    ...section('Largest errors', moduleTable(worstModules(report.modules, 10))),
    ...section('Modules', moduleTable(quantized)),
    ...section('Left as they are', kept(report.modules)),
    ...section('Remarks', [
      ...plan.steps.flatMap(({ modifier, arithmetic }) =>
        arithmetic === undefined ? [] : [`- ${modifier} rounded with arithmetic: ${arithmetic}`],
      ),
      ...(report.exact_arithmetic === null ? [] : [`- ${exactSentence(report.exact_arithmetic)}`]),
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

/** What flowed, and what of the data did not. */
function calibrationLines(calibration: CalibrationReport | undefined): string[] {
  if (calibration === undefined) return [];
  const { tokens, sequences, engine, notes } = calibration;
  return [
    `${tokens} tokens in ${sequences} ${sequences === 1 ? 'row' : 'rows'}, ${engine}.`,
    ...(notes.length === 0 ? [] : ['', ...notes.map(note => `- ${printable(note, 400)}`)]),
  ];
}

function qualityLines(quality: Quality): string[] {
  const { layers, notes, tokens_per_second, peak_memory_bytes, engine } = quality;
  return [
    `On ${printable(textOf(quality)).replaceAll('|', '\\|')}; ${quality.scored} tokens predicted.`,
    '',
    '| | value | 95 % interval | |',
    '|---|---:|---:|---|',
    ...qualityRows(quality).map(row => `| ${row.figure} | ${row.value} | ${row.interval} | ${row.meaning} |`),
    '',
    ...(layers === undefined
      ? []
      : [
          'Hidden states against the original behind each layer:',
          '',
          '| layer | relMSE | 1 - cosine |',
          '|---:|---:|---:|',
          ...layers.map(({ layer, rel_mse, cosine }) => {
            const figures = [rel_mse, Math.max(0, 1 - cosine)].map(x => x.toExponential(2));
            return `| ${layer < 0 ? 'embedding' : layer} | ${figures.join(' | ')} |`;
          }),
          '',
        ]),
    ...notes.map(note => `- ${printable(note, 400)}`),
    `- ${Math.round(tokens_per_second)} tokens/s, peak memory ${formatBytes(peak_memory_bytes)}, ${engine}`,
  ];
}

function taskLines(task: TaskResult | undefined): string[] {
  if (task === undefined) return [];
  return [
    `${printable(questionsOf(task)).replaceAll('|', '\\|')}, each answered by the most likely choice; by length: the most likely per character.`,
    '',
    '| | value | 95 % interval |',
    '|---|---:|---:|',
    ...taskRows(task).map(({ figure, value, interval }) => `| ${figure} | ${value} | ${interval} |`),
  ];
}

/** A text, and below it how both continue it. */
function textLines(generation: Generation): string[] {
  return [
    `- ${code(oneLine(generation.prompt))}`,
    `  - original: ${code(oneLine(generation.base))}`,
    `  - this model: ${code(oneLine(generation.model))}`,
    `  - ${agreement(generation)}`,
  ];
}

/** `- model.layers.*.mlp.gate (24)`: modules without codes, those that differ in their numbers only on one line. */
function kept(modules: readonly ModuleReport[]): string[] {
  const alike = new Map<string, number>();
  for (const { module, scheme } of modules) {
    if (scheme?.weights) continue;
    const name = patterns([module]);
    alike.set(name, (alike.get(name) ?? 0) + 1);
  }
  return [...alike].map(([name, count]) => `- ${code(name)}${count === 1 ? '' : ` (${count})`}`);
}

/** A name as code: names come from files, and nothing in them is markup. */
function code(name: string): string {
  return `\`${name.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
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
      return `| ${code(module)} | ${r} x ${c} | ${what} | ${figures.join(' | ')} |`;
    }),
  ];
}
