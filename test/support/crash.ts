import fs from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Crash<T> {
  /** Calls that change the disk, up to the end. */
  readonly calls: number;
  /** The last of them. */
  readonly last: string;
  /** Undefined when the work came to its end. */
  readonly error: unknown;
  readonly value: T | undefined;
  /** Files that the work has opened and not closed. */
  readonly leftOpen: readonly string[];
}

type Method = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/**
 * Does what kill -9 does to a disk, without a process: from its `at`-th call on that would change something, the work changes nothing any
 * more, because every such call fails. Of what that call would have written, the first half arrives.
 * @param failure the error of these calls. Only one of them fails when `once` is set
 */
export async function crashAt<T>(
  at: number,
  work: () => Promise<T>,
  { failure = new Error('killed'), once = false }: { failure?: Error; once?: boolean } = {},
): Promise<Crash<T>> {
  let calls = 0;
  let last = '';
  const opened = new Map<FileHandle, string>();
  const leftOpen = () => [...opened].filter(([{ fd }]) => fd >= 0).map(([, path]) => path);
  /** Whether the call may go on. */
  const alive = (what: string): boolean => {
    calls++;
    if (calls <= at) last = what;
    return once ? calls !== at : calls < at;
  };
  const undo: (() => void)[] = [];
  const replace = (owner: object, name: string, make: (original: Method) => unknown) => {
    const methods = owner as Record<string, Method>;
    const original = methods[name]!;
    methods[name] = make(original) as Method;
    undo.push(() => (methods[name] = original));
  };
  const dies =
    (name: string) =>
    (original: Method): Method =>
      function (...args) {
        return alive(`${name} ${String(args[0])}`) ? original.apply(this, args) : Promise.reject(failure);
      };

  for (const name of ['mkdir', 'writeFile', 'rename', 'rm', 'rmdir']) replace(promises, name, dies(name));
  replace(
    promises,
    'open',
    original =>
      function (...args) {
        const creates = String(args[1]).startsWith('w');
        if (creates && !alive(`open ${String(args[0])}`)) return Promise.reject(failure);
        return original(...args).then(handle => {
          opened.set(handle as FileHandle, String(args[0]));
          return handle;
        });
      } as Method,
  );
  for (const name of ['rmSync', 'rmdirSync']) {
    replace(
      fs,
      name,
      original =>
        function (...args: unknown[]) {
          if (!alive(`${name} ${String(args[0])}`)) throw failure;
          return original(...args);
        },
    );
  }
  const handle = await promises.open(join(tmpdir(), '.'), 'r');
  const handles = Object.getPrototypeOf(handle) as object;
  await handle.close();
  for (const name of ['truncate', 'sync', 'datasync']) replace(handles, name, dies(name));
  replace(
    handles,
    'write',
    original =>
      async function (bytes, offset, length, position) {
        if (alive('write')) return await original.call(this, bytes, offset, length, position);
        if (calls === at) await original.call(this, bytes, offset, Math.floor((length as number) / 2), position);
        throw failure;
      } as Method,
  );
  replace(
    handles,
    'writeFile',
    original =>
      async function (data) {
        if (alive('writeFile of a handle')) return await original.call(this, data);
        if (calls === at) await original.call(this, (data as string).slice(0, (data as string).length / 2));
        throw failure;
      } as Method,
  );
  syncBuiltinESMExports();
  try {
    return { value: await work(), error: undefined, calls, last, leftOpen: leftOpen() };
  } catch (error) {
    return { value: undefined, error, calls, last, leftOpen: leftOpen() };
  } finally {
    for (const back of undo) back();
    syncBuiltinESMExports();
  }
}
