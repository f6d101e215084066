import { execa } from 'execa';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = new URL('../../src/cli/main.ts', import.meta.url);

export interface CliResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line as a process, from the sources. `cwd` defaults to the repository. */
export async function cli(
  args: readonly string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<CliResult> {
  if (!existsSync(source)) throw new Error('the command line is missing');
  const result = await execa(process.execPath, ['--import', `${root}register.mjs`, fileURLToPath(source), ...args], {
    cwd,
    env: { NO_COLOR: '1', TS_NODE_PROJECT: `${root}tsconfig.json`, ...env },
    reject: false,
    stdin: 'ignore',
  });
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
}
