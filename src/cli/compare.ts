import { resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { writeWhole } from '../formats/files.js';
import { compareRuns, type ComparedRun, type RunComparison } from '../run/compare.js';
import { comparisonHtml } from '../run/html/comparison.js';
import { formatBytes, formatDuration, formatEstimate } from '../run/units.js';
import { VERSION } from '../run/version.js';
import { table, type Screen } from './screen.js';

/** `tensorpress compare` */
export async function compareCommand(
  folders: readonly string[],
  { out }: { out?: string },
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  if (out !== undefined && !/\.html?$/i.test(out)) {
    throw new TensorpressError('ARGUMENT', `${out} is no name of a page`, { hint: 'add --out FILE.html' });
  }
  const comparison = await compareRuns(folders);
  if (out !== undefined) await writeWhole(resolve(out), await comparisonHtml(comparison, VERSION));
  if (json) screen.print(JSON.stringify(comparison, null, 2));
  else screen.print(comparisonLines(comparison, screen).join('\n'));
  if (out !== undefined) screen.say(`  page  ${out}\n`);
}

function comparisonLines({ runs, comparable, notes }: RunComparison, { color }: Screen): string[] {
  const asked = runs.some(({ accuracy }) => accuracy !== null);
  const right = ({ accuracy }: ComparedRun) => (accuracy === null ? '' : `${(100 * accuracy).toFixed(1)} %`);
  const heads = ['run', 'size', 'bits per weight', 'perplexity', 'KL', 'same top', ...(asked ? ['right'] : []), 'time'];
  const rows = table(
    [
      [...heads, ''],
      ...runs
        .toSorted((a, b) => a.size - b.size)
        .map(run => [
          run.name,
          formatBytes(run.size),
          run.bits_per_weight.toFixed(2),
          run.perplexity.toFixed(2),
          formatEstimate(run.kl, run.kl_interval ?? undefined),
          `${(100 * run.same_top1).toFixed(1)} %`,
          ...(asked ? [right(run)] : []),
          formatDuration(run.seconds * 1000),
          run.on_front ? 'front' : '',
        ]),
    ],
    { right: heads.map((_, i) => i).slice(1), gap: 3 },
  );
  return [
    '',
    ...rows.map((row, i) => `  ${i === 0 ? color.dim(row) : row}`),
    '',
    ...notes.map(note => `  ${note}`),
    comparable
      ? '  front: no other run is both smaller and nearer to the original'
      : '  so their figures cannot be held against each other',
    '',
  ];
}
