// Tests neither read nor fill the cache of whoever runs them: what an earlier run has measured would be found there.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'tensorpress-test-cache-'));
process.env.XDG_CACHE_HOME = folder;
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
