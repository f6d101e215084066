import type { CalibrationReport } from '../../report.js';
import type { Quality } from '../../quality.js';
import { bytes, duration, whole } from '../figures.js';
import { plainTable, type Section, type View } from '../section.js';

/** What the run took, beside what the plan had said. */
export function costSection({ report }: View): Section {
  const { seconds, peak_memory_bytes, size, plan, calibration, quality } = report;
  const { estimate, outputs } = plan;
  const written = outputs.flatMap(({ files }) => files).reduce((sum, { bytes }) => sum + bytes, 0);
  const rate = seconds > 0 ? `${bytes(size.before / seconds)}/s` : '–';
  const rows = [
    ['time', duration(seconds), duration(estimate.seconds)],
    ['peak memory', bytes(peak_memory_bytes), bytes(estimate.memory_bytes)],
    ['disk', bytes(written), bytes(estimate.disk_bytes)],
    ['weights read', rate, ''],
    ...(calibration === undefined ? [] : flowed(calibration)),
    ...(quality === undefined ? [] : evaluation(quality)),
  ];
  return {
    id: 'cost',
    title: 'Timings and memory',
    body: plainTable('Timings and memory', ['cost', 'this run', 'plan'], rows, { figures: 2 }),
  };
}

function flowed({ sequences, tokens, engine }: CalibrationReport): string[][] {
  return [
    ['calibration', `${whole(tokens)} tokens in ${whole(sequences)} rows`, ''],
    ['its engine', engine, ''],
  ];
}

function evaluation({ seconds, tokens_per_second, peak_memory_bytes, engine }: Quality): string[][] {
  return [
    ['evaluation', duration(seconds), ''],
    ['its speed', `${whole(Math.round(tokens_per_second))} tokens/s`, ''],
    ['its peak memory', bytes(peak_memory_bytes), ''],
    ['its engine', engine, ''],
  ];
}
