import { evaluate, type EvaluateEvent, type EvaluateOptions } from '../run/evaluate.js';
import type { Comparison } from '../evaluation/scores.js';
import { formatBytes, formatDuration } from '../run/units.js';
import { table, type Screen } from './screen.js';

/** `tensorpress eval` */
export async function evalCommand(
  options: EvaluateOptions,
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  let part = '';
  const onEvent = (event: EvaluateEvent) => {
    switch (event.type) {
      case 'download':
        screen.progress(
          `  ${event.file}  ${formatBytes(event.bytes)} of ${formatBytes(event.total)}`,
          event.bytes === event.total,
        );
        break;
      case 'begin':
        screen.say(`  ${event.windows} windows, ${event.tokens} tokens, ${event.engine}`);
        break;
      case 'progress':
        screen.progress(
          `  ${event.part.padEnd(10)}  ${String(Math.floor((100 * event.done) / event.total)).padStart(3)} %`,
          event.part !== part,
        );
        part = event.part;
    }
  };
  const result = await evaluate({ ...options, onEvent });
  if (json) return screen.print(JSON.stringify(result, null, 2));
  for (const note of result.notes) screen.say(`  ${note}`);
  const rows = [
    ['perplexity', `${result.perplexity.toFixed(4)} ± ${result.perplexity_error.toFixed(4)}`],
    ...('kl' in result ? comparedRows(result) : []),
    ['tokens scored', `${result.scored} of ${result.tokens}`],
    ['speed', `${result.tokens_per_second.toFixed(0)} tokens/s, ${formatDuration(result.seconds * 1000)}`],
    ['peak memory', formatBytes(result.peak_memory_bytes)],
    ...(result.logits === null ? [] : [['logits', options.logits ?? result.logits]]),
  ];
  screen.say(['', ...table(rows).map(row => `  ${row}`), ''].join('\n'));
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
