import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const USAGE = here('./usage.mjs');
const COPY = here('./copy.mjs');
const TENSORPRESS = here('../../bin/tensorpress.js');

/** What a process took, from its start to its end. */
export interface Used {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Its resident set at its largest. */
  readonly peakBytes: number;
}

/** Runs Node on a script to its end; `scratch` is a folder for a small file. */
async function measure(args: readonly string[], scratch: string): Promise<Used> {
  const file = join(scratch, 'usage.json');
  const start = performance.now();
  await promisify(execFile)(process.execPath, ['--import', USAGE, ...args], {
    env: { ...process.env, TENSORPRESS_USAGE: file },
    maxBuffer: 1 << 26,
  });
  const seconds = (performance.now() - start) / 1000;
  const usage = JSON.parse(await readFile(file, 'utf8')) as NodeJS.ResourceUsage;
  return {
    seconds,
    cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
    peakBytes: usage.maxRSS * 1024,
  };
}

/** Reads, hashes, writes and flushes every file of a folder. */
export const copyFolder = (from: string, to: string, scratch: string): Promise<Used> =>
  measure([COPY, from, to], scratch);

/** The command line, as users start it. */
export const tensorpress = (args: readonly string[], scratch: string): Promise<Used> =>
  measure([TENSORPRESS, ...args], scratch);
