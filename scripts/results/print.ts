import { formatBytes } from '../../src/run/units.js';
import { CONTEXT, type Judged, type Own } from './run.js';

export interface Section {
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly ours: Own }[];
}

/** A recipe that two programs carried out. */
export interface Beside {
  readonly name: string;
  readonly ours: Own;
  readonly theirs: Judged;
}

/** Results as Markdown: a table for each section. */
export function printSections(sections: readonly Section[], machine: string): string {
  const first = sections[0]?.rows[0]?.ours;
  if (first === undefined) return 'No such row.\n';
  const { base_perplexity: perplexity, intervals } = first.quality;
  const size = formatBytes(first.report.size.before);
  const parts = [
    conditions(first, machine),
    `The source: 16 bits, ${size}, perplexity ${perplexity.toFixed(2)}, 95 %: ${interval(intervals?.base_perplexity, 2)}.`,
    ...sections.flatMap(({ title, rows }) => [
      `### ${title}`,
      table(
        ['recipe', 'bits', 'size', 'perplexity', 'KL, nats', '95 %', 'same top token', 'time'],
        rows.map(({ name, ours: { report, quality, seconds } }) => [
          name,
          report.bits_per_quantized_weight?.toFixed(2) ?? '16',
          formatBytes(report.size.after),
          quality.perplexity.toFixed(2),
          quality.kl.mean.toFixed(5),
          interval(quality.intervals?.kl_mean, 5),
          `${(100 * quality.same_top1).toFixed(2)} %`,
          `${seconds.toFixed(1)} s`,
        ]),
      ),
    ]),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** The same recipes by two programs, as Markdown. */
export function printBeside(rows: readonly Beside[], machine: string): string {
  if (rows.length === 0) return 'No such row.\n';
  const figures = table(
    ['recipe', 'perplexity', 'its', 'ours / its', 'KL, nats', '95 %', 'its', '95 %', 'time', 'its'],
    rows.map(({ name, ours, theirs }) => [
      name,
      ours.quality.perplexity.toFixed(3),
      theirs.quality.perplexity.toFixed(3),
      (ours.quality.perplexity / theirs.quality.perplexity).toFixed(4),
      ...[ours, theirs].flatMap(({ quality: { kl, intervals } }) => [
        kl.mean.toFixed(5),
        interval(intervals?.kl_mean, 5),
      ]),
      `${ours.seconds.toFixed(1)} s`,
      `${theirs.seconds.toFixed(1)} s`,
    ]),
  );
  return `${conditions(rows[0]!.ours, machine)}\n\n${figures}\n`;
}

const conditions = ({ quality: { windows, engine } }: Own, machine: string) =>
  `${machine}. ${windows} windows of ${CONTEXT} tokens, ${engine}.`;

type Interval = { readonly low: number; readonly high: number } | undefined;

const interval = (within: Interval, digits: number) =>
  within === undefined ? '' : `${within.low.toFixed(digits)} to ${within.high.toFixed(digits)}`;

/** A Markdown table; every column but the first is of numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [head, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}
