import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const USAGE = here('./usage.mjs');
const COPY = here('./copy.mjs');
const PEER = here('./peer.py');
const FORWARD_PEER = here('./forward.py');
const GPTQ_PEER = here('../results/peer.py');
const TENSORPRESS = here('../../bin/tensorpress.js');

/** What a process took, from its start to its end. */
export interface Used {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Its resident set at its largest. */
  readonly peakBytes: number;
}

/** The same, and what it printed. */
export interface Ran extends Used {
  readonly output: string;
}

/** Runs a program to its end, which writes what it used as usage.mjs does; `scratch` is a folder for that file. */
async function measure(program: string, args: readonly string[], scratch: string): Promise<Ran> {
  const file = join(scratch, 'usage.json');
  const start = performance.now();
  const { stdout: output } = await promisify(execFile)(program, args, {
    env: { ...process.env, TENSORPRESS_USAGE: file },
    maxBuffer: 1 << 26,
  });
  const seconds = (performance.now() - start) / 1000;
  const usage = JSON.parse(await readFile(file, 'utf8')) as NodeJS.ResourceUsage;
  return {
    seconds,
    cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
    peakBytes: usage.maxRSS * 1024,
    output,
  };
}

const node = (args: readonly string[], scratch: string): Promise<Ran> =>
  measure(process.execPath, ['--import', USAGE, ...args], scratch);

/** Reads, hashes, writes and flushes every file of a folder. */
export const copyFolder = (from: string, to: string, scratch: string): Promise<Used> => node([COPY, from, to], scratch);

/** The command line, as users start it. */
export const tensorpress = (args: readonly string[], scratch: string): Promise<Ran> =>
  node([TENSORPRESS, ...args], scratch);

/** Node and nothing else. */
export const bareNode = (scratch: string): Promise<Used> => node(['--eval', '0'], scratch);

/** llm-compressor without data, with a thread per core. */
export const peer = (python: string, model: string, out: string, scheme: string, scratch: string): Promise<Used> =>
  measure(python, [PEER, model, out, scheme, String(availableParallelism())], scratch);

/** A calibrated recipe in llm-compressor on the CPU, with a thread per core: model, recipe, tokens, rows of them, and where the result goes. */
export const gptqPeer = (python: string, args: readonly string[], scratch: string): Promise<Ran> =>
  measure(python, [GPTQ_PEER, ...args, String(availableParallelism())], scratch);

/** transformers on the CPU, with a thread per core. */
export const forwardPeer = (python: string, model: string, tokens: string, scratch: string): Promise<Ran> =>
  measure(python, [FORWARD_PEER, model, tokens, String(availableParallelism())], scratch);
