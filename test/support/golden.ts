import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/** Root of the golden data: bytes and numbers made by the reference implementations. Our copy is gzipped file by file; another root need not be. */
export const GOLDEN = process.env['TENSORPRESS_GOLDEN'] ?? fileURLToPath(new URL('../golden', import.meta.url));

/** Path of `rel` under the root if it exists (as it is, or as `rel.gz`). */
export function goldenPath(rel: string): string | undefined {
  return [rel, `${rel}.gz`].map(name => join(GOLDEN, name)).find(path => existsSync(path));
}

export function goldenFile(rel: string): Buffer | undefined {
  const path = goldenPath(rel);
  if (path === undefined) return undefined;
  const bytes = readFileSync(path);
  return path.endsWith('.gz') && !rel.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

export function goldenJson<T>(rel: string): T | undefined {
  const bytes = goldenFile(rel);
  return bytes === undefined ? undefined : (JSON.parse(bytes.toString('utf8')) as T);
}

/** Names below a folder, without `.gz`; empty when the folder is absent. */
export function goldenList(rel: string): string[] {
  const path = join(GOLDEN, rel);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .map(name => name.replace(/\.gz$/, ''))
    .sort();
}

/** A plain, writable copy of a folder in a temporary directory, so that commands can open it. */
export function goldenFolder(rel: string): string | undefined {
  const from = join(GOLDEN, rel);
  if (!existsSync(from)) return undefined;
  const to = join(mkdtempSync(join(tmpdir(), 'tensorpress-golden-')), rel.split('/').at(-1));
  mkdirSync(to);
  for (const name of goldenList(rel)) {
    if (statSync(goldenPath(`${rel}/${name}`)!).isFile()) writeFileSync(join(to, name), goldenFile(`${rel}/${name}`)!);
  }
  return to;
}
