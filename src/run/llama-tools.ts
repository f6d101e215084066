import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

const TOOLS = ['llama-bench', 'llama-perplexity', 'llama-imatrix', 'llama-quantize', 'llama-tokenize'] as const;

export interface Tools {
  readonly found: readonly string[];
  readonly missing: readonly string[];
}

/** Which of llama.cpp's programs the PATH leads to. */
export async function toolsOnPath(env: NodeJS.ProcessEnv = process.env): Promise<Tools> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter(folder => folder !== '');
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const there = (path: string) =>
    access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
  const found: string[] = [];
  const missing: string[] = [];
  for (const tool of TOOLS) {
    const places = await Promise.all(folders.map(folder => there(join(folder, tool + suffix))));
    (places.includes(true) ? found : missing).push(tool);
  }
  return { found, missing };
}
