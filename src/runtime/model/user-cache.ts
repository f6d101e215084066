import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder of this user for what can be had again: `tensorpress` in XDG_CACHE_HOME, which is ~/.cache unless set. */
export function userCache(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tensorpress');
}
