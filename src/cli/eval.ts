import type { Comparison } from '../evaluation/scores.js';
import type { TaskFigures } from '../evaluation/tasks.js';
import { answer, type AnswerOptions } from '../run/answer.js';
import { evaluate, type EvaluateEvent, type EvaluateOptions } from '../run/evaluate.js';
import type { TaskResult } from '../run/task.js';
import { formatBytes, formatDuration } from '../run/units.js';
import { partFollower, showDownload } from './follow.js';
import { generationLines } from './generations-view.js';
import { table, type Screen } from './screen.js';

/** `tensorpress eval` */
export async function evalCommand(
  options: EvaluateOptions,
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  const result = await evaluate({ ...options, onEvent: follow(screen) });
  if (json) return screen.print(JSON.stringify(result, null, 2));
  for (const note of result.notes) screen.say(`  ${note}`);
  const rows = [
    ['perplexity', `${result.perplexity.toFixed(4)} ± ${result.perplexity_error.toFixed(4)}`],
    ...('kl' in result ? comparedRows(result) : []),
    ...(result.task === undefined ? [] : taskRows(result.task)),
    ['tokens scored', `${result.scored} of ${result.tokens}`],
    ['speed', `${result.tokens_per_second.toFixed(0)} tokens/s, ${formatDuration(result.seconds * 1000)}`],
    ['peak memory', formatBytes(result.peak_memory_bytes)],
    ...(result.logits === null ? [] : [['logits', options.logits ?? result.logits]]),
  ];
  if (result.generations !== undefined) screen.say(generationLines(result.generations, screen).join('\n'));
  screen.say(['', ...table(rows).map(row => `  ${row}`), ''].join('\n'));
}

/** `tensorpress eval` without a text */
export async function answerCommand(
  options: AnswerOptions,
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  const result = await answer({ ...options, onEvent: follow(screen) });
  if (json) return screen.print(JSON.stringify(result, null, 2));
  const rows = [
    ...taskRows(result.task),
    ['time', formatDuration(result.seconds * 1000)],
    ['peak memory', formatBytes(result.peak_memory_bytes)],
  ];
  screen.say(['', ...table(rows).map(row => `  ${row}`), ''].join('\n'));
}

/** Shows how far it is. */
function follow(screen: Screen): (event: EvaluateEvent) => void {
  const followPart = partFollower(screen);
  return event => {
    switch (event.type) {
      case 'download':
        showDownload(screen, event);
        break;
      case 'begin':
        screen.say(`  ${event.windows} windows, ${event.tokens} tokens, ${event.engine}`);
        break;
      case 'questions':
        screen.say(`  ${event.questions} questions, ${event.tokens} tokens, ${event.engine}`);
        break;
      case 'progress':
        followPart(event);
    }
  };
}

function comparedRows({ base_perplexity, base_perplexity_error, kl, same_top1, rms_delta_p }: Comparison): string[][] {
  return [
    ['of the base', `${base_perplexity.toFixed(4)} ± ${base_perplexity_error.toFixed(4)}`],
    ['KL, mean', `${kl.mean.toPrecision(4)} ± ${kl.error.toPrecision(2)} nats`],
    ['KL, median, 99 %', `${kl.median.toPrecision(3)}, ${kl.p99.toPrecision(3)}`],
    ['same top token', `${(100 * same_top1).toFixed(2)} %`],
    ['RMS change of p', `${(100 * rms_delta_p).toFixed(2)} %`],
  ];
}

function taskRows({ base, questions, ...own }: TaskResult): string[][] {
  const percent = (share: number, error: number) => `${(100 * share).toFixed(1)} ± ${(100 * error).toFixed(1)} %`;
  const row = (name: string, of: (figures: TaskFigures | Omit<TaskFigures, 'questions'>) => string) => [
    name,
    of(own) + (base === undefined ? '' : `, of the base ${of(base)}`),
  ];
  return [
    ['questions', String(questions)],
    row('right', figures => percent(figures.accuracy, figures.accuracy_error)),
    row('right, by length', figures => percent(figures.accuracy_norm, figures.accuracy_norm_error)),
  ];
}
