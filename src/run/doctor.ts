import { statfs, access, constants } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, homedir, totalmem } from 'node:os';
import { existsSync } from 'node:fs';
import { EXAMPLE_MODEL } from './prepare.js';
import { formatBytes } from './units.js';

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** How to get it, when it is missing. */
  readonly hint?: string;
}

/** What this machine has of what tensorpress uses. */
export async function doctor({
  cwd = process.cwd(),
  env = process.env,
}: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Finding[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const supported = (major === 20 && minor >= 19) || (major === 22 && minor >= 13) || major >= 24;
  const { bavail, bsize } = await statfs(cwd);
  const writable = await access(cwd, constants.W_OK).then(
    () => true,
    () => false,
  );
  const token = env['HF_TOKEN'] !== undefined || existsSync(`${homedir()}/.cache/huggingface/token`);
  return [
    {
      name: 'Node.js',
      ok: supported,
      found: process.versions.node,
      ...(supported ? {} : { hint: 'install Node.js 20.19, 22.13 or 24 and later' }),
    },
    {
      name: 'processor',
      ok: true,
      found: `${cpus()[0]?.model.trim() ?? process.arch}, ${availableParallelism()} threads`,
    },
    { name: 'memory', ok: true, found: `${formatBytes(freemem())} free of ${formatBytes(totalmem())}` },
    {
      name: 'working folder',
      ok: writable,
      found: `${formatBytes(bavail * bsize)} free, ${writable ? 'writable' : 'not writable'}`,
      ...(writable ? {} : { hint: 'write elsewhere with --out' }),
    },
    {
      name: 'example model',
      ok: existsSync(EXAMPLE_MODEL),
      found: existsSync(EXAMPLE_MODEL) ? 'found' : 'missing',
      ...(existsSync(EXAMPLE_MODEL) ? {} : { hint: 'it comes with the package: install tensorpress again' }),
    },
    {
      name: 'Hugging Face token',
      ok: true,
      found: token ? 'found' : 'none (only gated and private models need one: set HF_TOKEN)',
    },
  ];
}
