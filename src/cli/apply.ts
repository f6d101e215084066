import { apply, type ApplyOptions } from '../run/apply.js';
import type { RunEvent } from '../run/events.js';
import { klEstimate, type Quality } from '../run/quality.js';
import { worstModules, type Report } from '../run/report.js';
import { taskRows } from '../run/task-rows.js';
import type { TaskResult } from '../run/task.js';
import { formatBytes, formatDuration } from '../run/units.js';
import { partFollower, showDownload } from './follow.js';
import { planLines } from './plan-view.js';
import { bar, table, type Screen } from './screen.js';

/** `tensorpress apply` */
export async function applyCommand(options: ApplyOptions, screen: Screen, { json }: { json: boolean }): Promise<void> {
  let part = '';
  let loss: number | undefined;
  const followEvaluation = partFollower(screen, 'evaluation  ');
  const onEvent = (event: RunEvent) => {
    switch (event.type) {
      case 'download':
        showDownload(screen, event);
        break;
      case 'plan':
        screen.say(['', ...planLines(event.plan, screen), ''].join('\n'));
        break;
      case 'progress':
        if (event.part !== part && loss !== undefined) {
          screen.say(`  ${part.padEnd(10)}  loss ${loss.toPrecision(4)}`);
          loss = undefined;
        }
        screen.progress(progressLine(event, screen.columns), event.part !== part);
        part = event.part;
        break;
      case 'evaluation':
        followEvaluation(event);
        break;
      case 'figures':
        if (event.figures['loss'] !== undefined) loss = (loss ?? 0) + event.figures['loss'];
        break;
      case 'step':
        break;
      case 'remark':
        screen.say(`  ${event.module === undefined ? '' : `${event.module}: `}${event.message}`);
        break;
      case 'done':
        screen.say(doneLines(event.report, options.out, screen).join('\n'));
    }
  };
  const { report } = await apply({ ...options, onEvent });
  if (json) screen.print(JSON.stringify(report, null, 2));
}

/** `layers.3  ━━━━────  42 %   1:10 elapsed   1:30 left   412 MB`, the bar as long as there is room, at most 32. */
function progressLine(
  { part, done, total, elapsedMs, remainingMs, rss }: RunEvent & { type: 'progress' },
  columns: number,
): string {
  const share = total > 0 ? done / total : 1;
  const left = remainingMs === undefined ? '' : `   ${formatDuration(remainingMs)} left`;
  const figures = `${String(Math.floor(share * 100)).padStart(3)} %   ${formatDuration(elapsedMs)} elapsed${left}   ${formatBytes(rss)}`;
  const name = `  ${part.padEnd(10)}`;
  const room = Math.min(32, columns - name.length - figures.length - 4);
  return room < 8 ? `${name}  ${figures}` : `${name}  ${bar(share, room)}  ${figures}`;
}

function qualityRow(quality: Quality): string[] {
  const { base_perplexity, perplexity } = quality;
  return ['perplexity', base_perplexity.toFixed(3), perplexity.toFixed(3), `KL ${klEstimate(quality)} nats`];
}

function taskRow(task: TaskResult): string[] {
  const [own, base] = taskRows(task);
  return ['right answers', base?.value ?? '', own!.value, `95 % within ${own!.interval}`];
}

function doneLines(report: Report, out: string, { color }: Screen): string[] {
  const { size, plan, quality } = report;
  const before = (size.before * 8) / plan.model.parameters;
  const quantized = report.bits_per_quantized_weight;
  const rows = table(
    [
      ['', 'before', 'after', ''],
      ['size', formatBytes(size.before), formatBytes(size.after), `${Math.round((100 * size.after) / size.before)} %`],
      [
        'bits per weight',
        before.toFixed(2),
        report.bits_per_weight.toFixed(2),
        quantized === null ? '' : `${quantized.toFixed(2)} where quantized`,
      ],
      ...(quality === undefined ? [] : [qualityRow(quality)]),
      ...(quality?.task === undefined ? [] : [taskRow(quality.task)]),
    ],
    { right: [1, 2], gap: 5 },
  );
  const worst = worstModules(report.modules, 3).map(({ module }) => module);
  return [
    `  done in ${color.bold(formatDuration(report.seconds * 1000))}, peak memory ${formatBytes(report.peak_memory_bytes)}`,
    '',
    ...rows.map((row, i) => `  ${i === 0 ? color.dim(row) : row}`),
    '',
    ...(worst.length > 0 ? [`  largest weight errors: ${worst.join(', ')}`] : []),
    `  checkpoint  ${out}`,
    `  report      ${out}/report.html`,
    '',
  ];
}
