import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TensorpressError } from '../errors.js';
import type { Model } from '../runtime/model/model.js';

/** What a run depends on. An unfinished run goes on only when nothing of it has changed. */
export interface Fingerprint {
  readonly tensorpress: string;
  /** SHA-256 of the recipe in native form, overrides included. */
  readonly recipe: string;
  /** SHA-256 of config.json. */
  readonly config: string;
  /** Header hash, size and time of change of every weight file. */
  readonly weights: Readonly<Record<string, string>>;
  /** SHA-256 of the small files that are carried over. */
  readonly companions: Readonly<Record<string, string>>;
}

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

export async function fingerprintOf(model: Model, recipeText: string, version: string): Promise<Fingerprint> {
  const hashOf = async (name: string) => sha256(await readFile(join(model.folder, name)));
  const companions: Record<string, string> = {};
  for (const name of model.companions) companions[name] = await hashOf(name);
  return {
    tensorpress: version,
    recipe: sha256(recipeText),
    config: await hashOf('config.json'),
    weights: Object.fromEntries(
      model.source.files.map(({ path, bytes, mtimeMs, header }) => [path, `${sha256(header)} ${bytes} ${mtimeMs}`]),
    ),
    companions,
  };
}

/**
 * Refuses to go on with a run that was started from something else.
 * @throws TensorpressError FINISHED, naming what differs
 */
export function compareFingerprints(before: Fingerprint, now: Fingerprint, folder: string): void {
  const differs: string[] = [];
  if (before.tensorpress !== now.tensorpress)
    differs.push(`the version of tensorpress (${before.tensorpress}, now ${now.tensorpress})`);
  if (before.recipe !== now.recipe) differs.push('the recipe');
  if (before.config !== now.config) differs.push("the model's config.json");
  for (const kind of ['weights', 'companions'] as const) {
    const names = new Set([...Object.keys(before[kind]), ...Object.keys(now[kind])]);
    differs.push(...[...names].filter(name => before[kind][name] !== now[kind][name]).sort());
  }
  if (differs.length === 0) return;
  throw new TensorpressError(
    'FINISHED',
    `${folder} holds an unfinished run of something else; what differs: ${differs.join(', ')}`,
    {
      hint: 'finish it with what it was started from, choose another folder with --out, or start over with --force',
    },
  );
}
