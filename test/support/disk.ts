import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './temp.js';

/** A file system of its own in memory. */
export interface Disk {
  readonly folder: string;
  makeReadOnly(): void;
  /** Writes a file that takes all room that is left, and gives its path. */
  fill(): string;
  unmount(): void;
}

const mount = (...args: string[]) => execFileSync('mount', args, { stdio: 'pipe' });

export function mountDisk(megabytes: number): Disk {
  const folder = join(tempFolder(), 'disk');
  mkdirSync(folder);
  mount('-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', folder);
  return {
    folder,
    makeReadOnly: () => mount('-o', 'remount,ro', folder),
    fill() {
      const path = join(folder, 'filler');
      const file = openSync(path, 'w');
      const page = new Uint8Array(4096);
      try {
        for (;;) writeSync(file, page);
      } catch {
        return path; // the disk is full
      } finally {
        closeSync(file);
      }
    },
    unmount: () => execFileSync('umount', [folder], { stdio: 'pipe' }),
  };
}

/** Why this process cannot mount a disk; undefined when it can. */
export function whyNoDisk(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'only root may mount a disk';
  try {
    const disk = mountDisk(1);
    disk.unmount();
    rmSync(disk.folder, { recursive: true });
    return undefined;
  } catch {
    return 'root may not mount a disk here';
  }
}
