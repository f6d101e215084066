import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { TensorpressError } from '../errors.js';
import { readError, writeWhole } from '../formats/files.js';
import { parseRecipe } from '../recipe/parse.js';
import type { Plugin } from '../recipe/plugins/plugins.js';
import { printRecipe } from '../recipe/print.js';
import type { Recipe } from '../recipe/recipe.js';
import { hashFile, makeFolder, pathIn, sha256, type FileHash } from './hash.js';
import type { Prepared } from './prepare.js';

/** A file that is taken along as it is. */
export interface Carried {
  /** Absolute. */
  readonly from: string;
  /** Relative to the run folder, with slashes. */
  readonly to: string;
  readonly hash: FileHash;
}

/** The small files that a run depends on, as they are when it begins. */
export interface Inputs {
  /** The recipe as it is saved, native form: it names the copies. Applied again, it does the same. */
  readonly recipe: Recipe;
  readonly recipeText: string;
  readonly recipeFile: FileHash;
  /** config.json. */
  readonly config: FileHash;
  readonly carried: readonly Carried[];
  /** What the recipe asks of the result, with the paths of its files as they are now. */
  readonly evaluation: Recipe['evaluation'];
  /** What flows through the model, with the path of the text as it is now. */
  readonly calibration: Recipe['calibration'];
}

/**
 * Reads and hashes what a run depends on beside the weights. Nothing is written.
 * @throws TensorpressError PLAN when the recipe names a file that does not exist
 */
export async function readInputs(
  { parsed, plan, outputs }: Prepared,
  recipePath: string,
  folder: string,
): Promise<Inputs> {
  const { model } = plan;
  const carried: Carried[] = [];
  for (const name of model.companions) {
    const from = join(model.folder, name);
    const hash = await hashFile(from, name);
    for (const output of outputs) carried.push({ from, to: pathIn(folder, join(output.folder, name)), hash });
  }
  const recipe = { ...parsed.recipe };
  /** Takes a file along that the recipe names, and gives the name under which the saved recipe finds it. */
  const bring = async (named: string, path: readonly string[]): Promise<string> => {
    const from = resolve(dirname(recipePath), named);
    if (!(await stat(from).catch(() => undefined))?.isFile()) {
      throw new TensorpressError('PLAN', `${path.join('.')}: there is no file ${from}`, {
        place: parsed.locate(path),
        hint: 'paths in a recipe start at its own folder',
      });
    }
    const known = carried.find(file => file.from === from && file.to.startsWith('inputs/'));
    if (known !== undefined) return `./${known.to}`;
    let name = basename(from);
    while (carried.some(({ to }) => to === `inputs/${name}`)) name = `${path[0]!}-${name}`;
    carried.push({ from, to: `inputs/${name}`, hash: await hashFile(from, named) });
    return `./inputs/${name}`;
  };
  const { calibration, evaluation } = recipe;
  if (calibration?.dataset !== undefined) {
    recipe.calibration = { ...calibration, dataset: await bring(calibration.dataset, ['calibration', 'dataset']) };
  }
  const asked = evaluation && { ...evaluation };
  if (asked !== undefined) {
    recipe.evaluation = { ...asked };
    for (const field of ['data', 'prompts', 'task'] as const) {
      const named = asked[field];
      if (named === undefined) continue;
      recipe.evaluation[field] = await bring(named, ['evaluation', field]);
      asked[field] = resolve(dirname(recipePath), named);
    }
  }
  if (recipe.plugins !== undefined) {
    recipe.plugins = parsed.plugins.list.map((plugin, i) => bringPlugin(plugin, i, carried));
  }
  delete recipe.history;
  const history = await sourceHistory(model.folder);
  if (history.length > 0) recipe.history = history;
  return {
    recipe,
    recipeText: printRecipe(recipe),
    recipeFile: await hashFile(resolve(recipePath), recipePath),
    config: await hashFile(join(model.folder, 'config.json'), 'config.json'),
    carried,
    evaluation: asked,
    calibration: calibration && {
      ...calibration,
      ...(calibration.dataset !== undefined && { dataset: resolve(dirname(recipePath), calibration.dataset) }),
    },
  };
}

/** Takes the files of a plugin along, as they lie to each other, and gives the name under which the saved recipe finds it. */
function bringPlugin({ files }: Plugin, index: number, carried: Carried[]): string {
  const root = commonFolder(files.map(({ path }) => dirname(path)));
  const placed = (folder: string) =>
    files.map(({ path, named, sha256, bytes }): Carried => ({
      from: path,
      to: `inputs/${folder}${pathIn(root, path)}`,
      hash: { path: named, sha256, bytes },
    }));
  const clashes = placed('').some(({ from, to }) => carried.some(other => other.to === to && other.from !== from));
  const here = placed(clashes ? `plugin-${index + 1}/` : '');
  carried.push(...here.filter(({ to }) => !carried.some(other => other.to === to)));
  return `./${here[0]!.to}`;
}

function commonFolder(folders: readonly string[]): string {
  const holds = (folder: string) => folders.every(other => other === folder || other.startsWith(join(folder, sep)));
  let folder = folders[0]!;
  while (!holds(folder)) folder = dirname(folder);
  return folder;
}

/** Recipes that made the source what it is, oldest first. */
async function sourceHistory(folder: string): Promise<NonNullable<Recipe['history']>> {
  const path = join(folder, 'recipe.yaml');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  try {
    const { history = [], ...recipe } = parseRecipe(text, { file: path }).recipe;
    return [...history, recipe];
  } catch {
    return [{ text }]; // a recipe that does not load is kept as it was written
  }
}

/**
 * Copies a file into the run folder; it must be what it was when the run began.
 * @throws TensorpressError TENSOR when it is not, DISK
 */
export async function carry({ from, to, hash }: Carried, folder: string): Promise<void> {
  const target = join(folder, to);
  if ((await realpath(target).catch(() => target)) === (await realpath(from).catch(() => from))) return;
  const data = await readFile(from).catch((error: unknown) => Promise.reject(readError(error, from)));
  if (sha256(data) !== hash.sha256) {
    throw new TensorpressError('TENSOR', `${from} has changed since this run began`, {
      place: { file: from },
      hint: 'put back what it was and run the same command again, or start over with --force',
    });
  }
  await makeFolder(dirname(target));
  await writeWhole(target, data);
}
