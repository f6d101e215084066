import { table } from '../../src/cli/screen.js';
import { formatBytes } from '../../src/run/units.js';
import type { KernelRow } from './kernels.js';
import type { MemoryRow, Speed } from './runs.js';

export interface Results {
  machine: { cpu: string; cores: number; node: string };
  speed?: Speed;
  memory?: MemoryRow[];
  validateSeconds?: number;
  kernels?: KernelRow[];
}

/** Results as aligned tables. */
export function printResults({ machine, speed, memory, validateSeconds, kernels }: Results): string {
  const lines = [`${machine.cpu}, ${machine.cores} cores, Node ${machine.node.slice(1)}`];
  const section = (title: string, rows: string[][], right: number[]) =>
    lines.push('', title, ...table(rows, { right, gap: 3 }).map(row => `  ${row}`));
  if (speed) {
    section(
      `time, ${formatBytes(speed.modelBytes)} in bfloat16, rounds: ${speed.rounds}`,
      [
        ['', 'seconds', 'CPU seconds', 'copy', 'run / copy', 'lowest', 'highest'],
        ...speed.schemes.map(({ scheme, seconds, cpuSeconds, copySeconds, ratio }) => [
          scheme,
          seconds.toFixed(1),
          cpuSeconds.toFixed(1),
          copySeconds.toFixed(1),
          ...ratio.map(value => value.toFixed(2)),
        ]),
      ],
      [1, 2, 3, 4, 5, 6],
    );
  }
  if (memory) {
    const [first] = memory;
    section(
      'peak memory, W4A16',
      [
        ['', 'model', 'peak', 'of the first'],
        ...memory.map(({ layers, modelBytes, peakBytes }) => [
          `${layers} layers`,
          formatBytes(modelBytes),
          formatBytes(peakBytes),
          `${((100 * peakBytes) / first!.peakBytes).toFixed(1)} %`,
        ]),
      ],
      [1, 2, 3],
    );
  }
  if (validateSeconds !== undefined) lines.push('', `validate: ${validateSeconds.toFixed(2)} s from start to end`);
  if (kernels) {
    section(
      'kernels, ns per element',
      [
        ['', 'TypeScript', 'WebAssembly', 'ratio'],
        ...kernels.map(({ name, typescript, wasm }) => [
          name,
          typescript.toFixed(2),
          wasm.toFixed(2),
          (typescript / wasm).toFixed(1),
        ]),
      ],
      [1, 2, 3],
    );
  }
  return `${lines.join('\n')}\n`;
}
