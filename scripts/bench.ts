// Measures what a run costs, on models that are made here and removed again, as ratios to a copy of the same files in the same minutes:
//
//   npm run bench -- [--quick] [--json] [--rounds 3] [--model-gb 2.5] [--folder DIR] [--only start,speed,memory,kernels]
//
// --quick takes small models and one round. DIR, by default the system's temporary folder, is on the disk that is measured; 8 GB of it are
// needed for a while.
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchKernels } from './bench/kernels.js';
import { bytesOf, LLAMA_1B, withLayers, type LlamaShape } from './bench/model.js';
import { printResults, type Results } from './bench/print.js';
import { benchMemory, benchSpeed, benchValidate, type Bench } from './bench/runs.js';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    'model-gb': { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
    only: { type: 'string', default: 'start,speed,memory,kernels' },
  },
});
const { quick } = options;

/** The 1B model, or as many layers of it as the size asks for. */
function shapeOf(gigabytes: string | undefined): LlamaShape {
  if (gigabytes === undefined) return quick ? withLayers(2) : LLAMA_1B;
  const rest = bytesOf({ ...LLAMA_1B, layers: 0 });
  const layer = bytesOf({ ...LLAMA_1B, layers: 1 }) - rest;
  return { ...LLAMA_1B, layers: Math.max(1, Math.round((Number(gigabytes) * 1e9 - rest) / layer)) };
}

const scratch = await mkdtemp(join(options.folder, 'tensorpress-bench-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));

const bench: Bench = {
  scratch,
  rounds: Number(options.rounds ?? (quick ? 1 : 3)),
  say: line => process.stderr.write(`${line}\n`),
};
const wanted = new Set(options.only.split(','));
const results: Results = {
  machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism(), node: process.version },
};
if (wanted.has('start')) results.validateSeconds = await benchValidate(bench, quick ? 5 : 15);
if (wanted.has('speed')) results.speed = await benchSpeed(bench, shapeOf(options['model-gb']));
if (wanted.has('memory')) results.memory = await benchMemory(bench, quick ? [2, 8] : [8, 32]);
if (wanted.has('kernels')) results.kernels = await benchKernels();
process.stdout.write(options.json ? `${JSON.stringify(results, null, 2)}\n` : printResults(results));
