import type { RunEvent } from '../run/events.js';
import { formatBytes } from '../run/units.js';
import type { Screen } from './screen.js';

/** `config.json  1.2 MB of 2.5 MB` */
export function showDownload(screen: Screen, { file, bytes, total }: RunEvent & { type: 'download' }): void {
  screen.progress(`  ${file}  ${formatBytes(bytes)} of ${formatBytes(total)}`, bytes === total);
}

/** Shows what part of a forward pass is in work, and how much of all is done; a new part is worth a line of its own. */
export function partFollower(
  screen: Screen,
  label = '',
): (event: { part: string; done: number; total: number }) => void {
  let last = '';
  return ({ part, done, total }) => {
    const share = String(Math.floor((100 * done) / total)).padStart(3);
    screen.progress(`  ${label}${part.padEnd(10)}  ${share} %`, part !== last);
    last = part;
  };
}
