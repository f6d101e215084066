// What a run costs, on models that are made here and removed again: times as ratios to a copy of the same files in the same minutes.
//
//   npm run bench -- [w4a16] [fp8_dynamic] [nvfp4a16] [memory] [validate] [forward] [gptq] [kernels]     these, or all
//     --folder DIR     on the disk that is measured; 8 GB of it are needed for a while. Default: the system's temporary folder
//     --rounds N       default 3
//     --peer PYTHON    also llm-compressor (beside a scheme and gptq) and transformers (beside forward), run by this interpreter
//     --quick          small models, one round
//     --write FILE     puts the tables between the lines <!-- bench --> and <!-- /bench --> of a Markdown file, too
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchForward, LLAMA_135M } from './bench/forward.js';
import { benchGptq } from './bench/gptq.js';
import { benchKernels } from './bench/kernels.js';
import { LLAMA_1B, withLayers } from './bench/model.js';
import { printResults, type Results } from './bench/print.js';
import { benchMemory, benchPeer, benchSpeed, benchValidate, SCHEMES, type Bench } from './bench/runs.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    folder: { type: 'string', default: tmpdir() },
    rounds: { type: 'string' },
    peer: { type: 'string' },
    quick: { type: 'boolean', default: false },
    write: { type: 'string' },
  },
});
const { quick } = options;
const all = [...SCHEMES.map(scheme => scheme.toLowerCase()), 'memory', 'validate', 'forward', 'gptq', 'kernels'];
const wanted = new Set(positionals.length > 0 ? positionals : all);
for (const name of wanted) if (!all.includes(name)) throw new Error(`no bench "${name}"; one of ${all.join(', ')}`);

const scratch = await mkdtemp(join(options.folder, 'tensorpress-bench-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
process.once('SIGINT', () => process.exit(130));

const bench: Bench = {
  scratch,
  rounds: Number(options.rounds ?? (quick ? 1 : 3)),
  say: line => process.stderr.write(`${line}\n`),
};
const results: Results = {
  machine: { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism(), node: process.version },
};
const schemes = SCHEMES.filter(scheme => wanted.has(scheme.toLowerCase()));
const shape = quick ? withLayers(2) : LLAMA_1B;
if (schemes.length > 0) {
  results.speed = await benchSpeed(bench, shape, schemes);
  if (options.peer !== undefined) results.peer = await benchPeer(bench, shape, schemes, options.peer);
}
if (wanted.has('memory')) results.memory = await benchMemory(bench, quick ? [2, 8] : [8, 32]);
if (wanted.has('validate')) results.validate = await benchValidate(bench, quick ? 5 : 15);
if (wanted.has('forward')) {
  const small = { ...LLAMA_135M, layers: 2 };
  const windows = quick ? 2 : 16;
  results.forward = await benchForward(bench, quick ? small : LLAMA_135M, {
    windows,
    context: 512,
    python: options.peer,
  });
}
if (wanted.has('gptq')) {
  const small = { ...LLAMA_135M, layers: 2, vocabulary: 4096 };
  const rows = quick ? 16 : 128;
  results.gptq = await benchGptq(bench, quick ? small : LLAMA_135M, {
    ...{ rows, length: 512, python: options.peer },
    depths: quick ? [1, 2] : [8, 32],
  });
}
if (wanted.has('kernels')) results.kernels = await benchKernels();

const tables = printResults(results);
process.stdout.write(tables);
if (options.write !== undefined) {
  const page = readFileSync(options.write, 'utf8');
  const between = /(?<=<!-- bench -->\n)[^]*(?=<!-- \/bench -->)/;
  if (!between.test(page)) throw new Error(`${options.write} has no lines <!-- bench --> and <!-- /bench -->`);
  writeFileSync(
    options.write,
    page.replace(between, () => `\n${tables}\n`),
  );
}
