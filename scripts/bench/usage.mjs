// node --import usage.mjs ...: when the process ends, what it used goes into the file that TENSORPRESS_USAGE names.
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.TENSORPRESS_USAGE;
if (isMainThread && file) process.once('exit', () => writeFileSync(file, JSON.stringify(process.resourceUsage())));
