import { bytes, duration } from '../figures.js';
import { plainTable, type Section, type View } from '../section.js';

/** What the run took, beside what the plan had said. */
export function costSection({ report }: View): Section {
  const { seconds, peak_memory_bytes, size, plan } = report;
  const { estimate, outputs } = plan;
  const written = outputs.flatMap(({ files }) => files).reduce((sum, { bytes }) => sum + bytes, 0);
  const rate = seconds > 0 ? `${bytes(size.before / seconds)}/s` : '–';
  const rows = [
    ['time', duration(seconds), duration(estimate.seconds)],
    ['peak memory', bytes(peak_memory_bytes), bytes(estimate.memory_bytes)],
    ['disk', bytes(written), bytes(estimate.disk_bytes)],
    ['weights read', rate, ''],
  ];
  return {
    id: 'cost',
    title: 'Timings and memory',
    body: plainTable('Timings and memory', ['cost', 'this run', 'plan'], rows, { figures: 2 }),
  };
}
