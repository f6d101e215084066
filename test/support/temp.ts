import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const created: string[] = [];
process.once('exit', () => {
  for (const folder of created) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone when the tests are. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tensorpress-test-'));
  created.push(folder);
  return folder;
}
