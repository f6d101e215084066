import { execa } from 'execa';
import { fileURLToPath } from 'node:url';
import { tempFolder } from './temp.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BIN = fileURLToPath(new URL('../../bin/tensorpress.js', import.meta.url));

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command line as a process (`npm test` builds it first). `cwd` defaults to the repository, `uid` to this process's user. */
export async function cli(
  args: readonly string[],
  { cwd = ROOT, env = {}, uid }: { cwd?: string; env?: Record<string, string>; uid?: number } = {},
): Promise<CliResult> {
  const result = await execa(process.execPath, [BIN, ...args], {
    cwd,
    // a cache of its own: what one test has measured is nothing to another
    env: { NO_COLOR: '1', NODE_OPTIONS: '', XDG_CACHE_HOME: tempFolder(), ...env },
    reject: false,
    stdin: 'ignore',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
}
