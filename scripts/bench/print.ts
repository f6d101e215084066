import { formatBytes } from '../../src/run/units.js';
import type { Used } from './child.js';
import type { ForwardSpeed } from './forward.js';
import type { GptqSpeed } from './gptq.js';
import type { KernelRow } from './kernels.js';
import { median } from '../../src/evaluation/statistics.js';
import { type MemoryRow, type Rounds, type Speed, type Start } from './runs.js';

export interface Results {
  machine: { cpu: string; cores: number; node: string };
  speed?: Speed;
  peer?: Speed;
  memory?: MemoryRow[];
  validate?: Start;
  forward?: ForwardSpeed;
  gptq?: GptqSpeed;
  kernels?: KernelRow[];
}

/** What a kernel has to be worth to be one. */
const KERNEL_GAIN = 2;

/** Results as Markdown. Seconds and memory are medians of the rounds; a ratio is that of two runs of the same round. */
export function printResults(results: Results): string {
  const { machine, speed, peer, memory, validate, forward, gptq, kernels } = results;
  const parts = [`${machine.cpu}, ${machine.cores} cores, Node ${machine.node.slice(1)}.`];
  if (speed) {
    const copies = speed.schemes.flatMap(({ other }) => other);
    const copied = speed.modelBytes / median(seconds(copies));
    const what = `${speed.layers} layers, ${formatBytes(speed.modelBytes)} in bfloat16, ${rounds(speed)}`;
    parts.push(
      `${what}; the copy went at ${formatBytes(copied)}/s and took ${median(cpu(copies)).toFixed(1)} s of CPU.`,
      table(
        ['scheme', 'copy', 'run', 'run / copy', 'lowest, highest', 'CPU', 'peak memory'],
        speed.schemes.map(pair => {
          const ratios = ratiosOf(pair);
          return [
            pair.scheme,
            inSeconds(seconds(pair.other)),
            inSeconds(seconds(pair.run)),
            median(ratios).toFixed(2),
            `${Math.min(...ratios).toFixed(2)}, ${Math.max(...ratios).toFixed(2)}`,
            inSeconds(cpu(pair.run)),
            formatBytes(median(peak(pair.run))),
          ];
        }),
      ),
    );
  }
  if (memory) {
    const [first] = memory;
    parts.push(
      table(
        ['W4A16', 'model', 'peak memory', 'of the first'],
        memory.map(({ layers, modelBytes, peakBytes }) => [
          `${layers} layers`,
          formatBytes(modelBytes),
          formatBytes(peakBytes),
          `${((100 * peakBytes) / first!.peakBytes).toFixed(1)} %`,
        ]),
      ),
    );
  }
  if (validate) {
    const [all, node] = [validate.validate, validate.node].map(value => `${value.toFixed(2)} s`);
    parts.push(`\`tensorpress validate\`: ${all} from start to end, of which Node itself takes ${node}.`);
  }
  if (forward) {
    const { windows, context, rows } = forward;
    const times = rows[0]!.rounds.length === 1 ? 'one round' : `the best of ${rows[0]!.rounds.length} rounds`;
    parts.push(
      `A random Llama of 135M parameters, ${windows} windows of ${context} tokens, ${times}.`,
      table(
        ['135M', 'tokens/s', 'time of a window', 'CPU', 'peak memory'],
        rows.map(({ name, rounds }) => {
          const speed = Math.max(...rounds.map(({ tokensPerSecond }) => tokensPerSecond));
          return [
            name,
            speed.toFixed(0),
            `${(context / speed).toFixed(2)} s`,
            `${Math.min(...cpu(rounds)).toFixed(1)} s`,
            formatBytes(Math.min(...peak(rounds))),
          ];
        }),
      ),
    );
  }
  if (gptq) {
    const { layers, rows, length, runs, depths } = gptq;
    const [own] = runs;
    const count = own!.rounds.length;
    parts.push(
      `GPTQ at 4 bits in groups of 64 of a random Llama, ${layers} layers of 576 and 1536 columns, on ${rows} rows of ${length} tokens, ${count === 1 ? 'one round' : `${count} rounds`}.`,
      table(
        ['GPTQ', 'time', 'of ours', 'CPU', 'peak memory', 'of ours'],
        runs.map(({ name, rounds }) => [
          name,
          inSeconds(seconds(rounds)),
          (median(seconds(rounds)) / median(seconds(own!.rounds))).toFixed(2),
          inSeconds(cpu(rounds)),
          formatBytes(median(peak(rounds))),
          (median(peak(rounds)) / median(peak(own!.rounds))).toFixed(2),
        ]),
      ),
      table(
        ['GPTQ, 16 rows', 'peak memory', 'of the first'],
        depths.map(({ layers, peakBytes }) => [
          `${layers} layers`,
          formatBytes(peakBytes),
          `${((100 * peakBytes) / depths[0]!.peakBytes).toFixed(1)} %`,
        ]),
      ),
    );
  }
  if (peer) {
    parts.push(
      `Against \`model_free_ptq\`, in shards of 500 MB, ${rounds(peer)}.`,
      table(
        ['scheme', 'its time', 'ours', 'ours / its', 'its CPU', 'ours', 'its peak memory', 'ours', 'ours / its'],
        peer.schemes.map(pair => [
          pair.scheme,
          inSeconds(seconds(pair.other)),
          inSeconds(seconds(pair.run)),
          median(ratiosOf(pair)).toFixed(2),
          inSeconds(cpu(pair.other)),
          inSeconds(cpu(pair.run)),
          formatBytes(median(peak(pair.other))),
          formatBytes(median(peak(pair.run))),
          (median(peak(pair.run)) / median(peak(pair.other))).toFixed(2),
        ]),
      ),
    );
  }
  if (kernels) {
    const gain = ({ typescript, wasm }: KernelRow) => typescript / wasm;
    const small = kernels.filter(row => gain(row) < KERNEL_GAIN).map(({ name }) => name);
    parts.push(
      table(
        ['ns per element', 'TypeScript', 'WebAssembly', 'ratio'],
        kernels.map(row => [row.name, row.typescript.toFixed(2), row.wasm.toFixed(2), gain(row).toFixed(1)]),
      ),
      small.length === 0 ? `All at least ${KERNEL_GAIN}.` : `Below ${KERNEL_GAIN}: ${small.join('; ')}.`,
    );
  }
  return `${parts.join('\n\n')}\n`;
}

const seconds = (used: readonly Used[]) => used.map(used => used.seconds);
const cpu = (used: readonly Used[]) => used.map(used => used.cpuSeconds);
const peak = (used: readonly Used[]) => used.map(used => used.peakBytes);
const ratiosOf = ({ run, other }: Rounds) => run.map(({ seconds }, i) => seconds / other[i]!.seconds);
const inSeconds = (values: readonly number[]) => `${median(values).toFixed(1)} s`;

function rounds({ schemes: [first] }: Speed): string {
  const count = first!.run.length;
  return count === 1 ? 'one round' : `${count} rounds`;
}

/** A Markdown table; every column but the first is of numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [head, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}
