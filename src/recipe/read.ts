import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { TensorpressError, type Diagnostic } from '../errors.js';
import { MAX_BYTES, parseRecipe, tooLarge, type RecipeOptions } from './parse.js';
import type { ModuleFs } from './plugins/module.js';
import { loadPlugins, type Plugins } from './plugins/plugins.js';
import type { ParsedRecipe } from './recipe.js';

/** What reading a file takes; the one of node:fs/promises unless given. */
export interface RecipeFs {
  stat(path: string): Promise<{ size: number; isFile(): boolean }>;
  readFile(path: string): Promise<Uint8Array>;
}

/**
 * Reads a recipe file: .yaml, .yml, .json, or .md with the recipe between two `---` lines at its top. Plugins that it names are loaded, which
 * runs their code, once everything that can be checked without them is right.
 *
 * @throws TensorpressError RECIPE with every error in `diagnostics`, ARGUMENT when the file cannot be read, or PLUGIN
 */
export async function readRecipe(
  path: string,
  { fs = { stat, readFile }, ...options }: RecipeOptions & { fs?: RecipeFs } = {},
): Promise<ParsedRecipe> {
  const text = await readText(path, fs);
  const parsed = parseRecipe(text, { ...options, file: path });
  const { plugins: named = [] } = parsed.recipe;
  if (named.length === 0 || options.extension !== undefined) return parsed;
  const plugins = await pluginsOf(named, parsed, fs);
  return { ...parseRecipe(text, { ...options, file: path, extension: plugins }), plugins };
}

/** Loads the plugins of a recipe; a file that is not there is an error of the recipe. */
async function pluginsOf(named: readonly string[], parsed: ParsedRecipe, fs: RecipeFs): Promise<Plugins> {
  const folder = dirname(parsed.file);
  for (const [i, name] of named.entries()) {
    const path = resolve(folder, name);
    const isThere = await fs.stat(path).then(
      found => found.isFile(),
      () => false,
    );
    if (isThere) continue;
    const place = parsed.locate(['plugins', i]);
    const message = `there is no plugin ${path}`;
    const hint = 'paths are relative to the recipe; tensorpress new modifier NAME writes one to begin with';
    throw new TensorpressError('RECIPE', `${parsed.file}: 1 error`, {
      diagnostics: [{ code: 'no-plugin', message, ...place, hint, frame: parsed.frame(place) }],
      place,
    });
  }
  return loadPlugins(named, folder, { fs: { readFile: fs.readFile as ModuleFs['readFile'] } });
}

async function readText(path: string, fs: RecipeFs): Promise<string> {
  const place = { file: path };
  let bytes: Uint8Array;
  try {
    const { size, isFile } = await fs.stat(path).then(found => ({ size: found.size, isFile: found.isFile() }));
    if (!isFile) throw new TensorpressError('ARGUMENT', `${path} is not a file`, { place, hint: 'name a recipe file' });
    if (size > MAX_BYTES) throw tooLarge(path, size);
    bytes = await fs.readFile(path);
  } catch (cause) {
    if (cause instanceof TensorpressError) throw cause;
    const { code } = cause as { code?: string };
    const message =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `there is no recipe ${path}`
        : `the recipe ${path} cannot be read (${code ?? 'unknown reason'})`;
    throw new TensorpressError('ARGUMENT', message, {
      place,
      hint: 'recipes of your own are YAML files; ready ones are in the folder recipes',
      cause,
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TensorpressError('ARGUMENT', `the recipe ${path} is not text in UTF-8`, {
      place,
      hint: 'save it as UTF-8',
      cause,
    });
  }
}

/** What is wrong with a recipe, as `validate --json` prints it. */
export interface Validation {
  ok: boolean;
  errors: {
    code: string;
    message: string;
    file: string | null;
    line: number | null;
    column: number | null;
    path: string | null;
    hint: string | null;
  }[];
}

/**
 * Checks a recipe file.
 *
 * @throws TensorpressError ARGUMENT when the file cannot be read, PLUGIN when a plugin of it cannot be loaded
 */
export async function validateRecipe(
  path: string,
  options: RecipeOptions & { fs?: RecipeFs } = {},
): Promise<Validation> {
  try {
    await readRecipe(path, options);
    return { ok: true, errors: [] };
  } catch (error) {
    if (error instanceof TensorpressError && error.code === 'RECIPE')
      return { ok: false, errors: error.diagnostics.map(plain) };
    throw error;
  }
}

function plain({
  code,
  message,
  file = null!,
  line = null!,
  column = null!,
  path = null!,
  hint = null!,
}: Diagnostic): Validation['errors'][number] {
  return { code, message, file, line, column, path, hint };
}
