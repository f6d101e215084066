import { evaluate, type EvaluateEvent, type EvaluateOptions } from '../run/evaluate.js';
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
    ['tokens scored', `${result.scored} of ${result.tokens}`],
    ['speed', `${result.tokens_per_second.toFixed(0)} tokens/s, ${formatDuration(result.seconds * 1000)}`],
    ['peak memory', formatBytes(result.peak_memory_bytes)],
    ...(result.logits === null ? [] : [['logits', options.logits ?? result.logits]]),
  ];
  screen.say(['', ...table(rows).map(row => `  ${row}`), ''].join('\n'));
}
