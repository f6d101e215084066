import { TensorpressError } from '../errors.js';
import type { Source } from '../formats/source.js';
import { sha256 } from './hash.js';
import type { Inputs } from './inputs.js';

/** What a run depends on. An unfinished run goes on only when nothing of it has changed. */
export interface Fingerprint {
  readonly tensorpress: string;
  /** SHA-256 of the recipe in native form, overrides included. */
  readonly recipe: string;
  /** SHA-256 of config.json, of the small files that are carried over, and of those that the recipe names. */
  readonly files: Readonly<Record<string, string>>;
  /** Header hash, size and time of change of every weight file. */
  readonly weights: Readonly<Record<string, string>>;
  /**
   * Where the run needs the model to run: what runs it, on what processor, and the SHA-256 of the rows. The last bits of a sum depend on all of
   * them.
   */
  readonly calibration?: { readonly engine: string; readonly processor: string; readonly rows: string };
}

/** @param calibration of a run that needs the model to run */
export function fingerprintOf(
  source: Source,
  { recipeText, config, carried }: Inputs,
  version: string,
  calibration?: Fingerprint['calibration'],
): Fingerprint {
  const small = [config, ...carried.map(({ hash }) => hash)];
  return {
    tensorpress: version,
    recipe: sha256(recipeText),
    files: Object.fromEntries(small.map(({ path, sha256: hash }) => [path, hash])),
    weights: weightsOf(source),
    ...(calibration && { calibration }),
  };
}

/** Weight files by what tells that one has changed without reading all of it. */
export function weightsOf({ files }: Source): Fingerprint['weights'] {
  return Object.fromEntries(
    files.map(({ path, bytes, mtimeMs, header }) => [path, `${sha256(header)} ${bytes} ${mtimeMs}`]),
  );
}

/**
 * Refuses to go on with a run that was started from something else.
 * @throws TensorpressError FINISHED, naming what differs
 */
export function compareFingerprints(before: Fingerprint, now: Fingerprint, folder: string): void {
  const differs = differences(before, now);
  if (differs.length === 0) return;
  throw new TensorpressError(
    'FINISHED',
    `${folder} holds an unfinished run of something else; what differs: ${differs.join(', ')}`,
    {
      hint: 'finish it with what it was started from, choose another folder with --out, or start over with --force',
    },
  );
}

function differences(before: Fingerprint, now: Fingerprint): string[] {
  // another version may have written down other things
  if (before.tensorpress !== now.tensorpress)
    return [`the version of tensorpress (${before.tensorpress}, now ${now.tensorpress})`];
  const changed = (kind: 'files' | 'weights') =>
    Object.keys({ ...before[kind], ...now[kind] })
      .filter(name => before[kind][name] !== now[kind][name])
      .sort();
  const { engine, processor, rows } = now.calibration ?? {};
  const computes = [
    ...(before.calibration?.engine === engine ? [] : [`the engine (${before.calibration?.engine}, now ${engine})`]),
    ...(before.calibration?.processor === processor ? [] : ['the processor']),
    ...(before.calibration?.rows === rows ? [] : ['the calibration data']),
  ];
  return [
    ...(before.recipe === now.recipe ? [] : ['the recipe']),
    ...changed('files'),
    ...changed('weights'),
    ...computes,
  ];
}
