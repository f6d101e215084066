import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TensorpressError } from '../../errors.js';
import { parseRecipe } from '../../recipe/parse.js';
import { loadPlugins } from '../../recipe/plugins/plugins.js';

/**
 * What `tensorpress validate` finds wrong with the options of a plugin's modifier: one sentence each, none when they are right.
 * @param file of the plugin
 * @param type its modifier, where it has several
 * @throws TensorpressError PLUGIN when the plugin cannot be loaded, its schema not being valid for one
 */
export async function optionErrors(file: URL | string, options: unknown, type?: string): Promise<string[]> {
  const path = typeof file === 'string' ? file : fileURLToPath(file);
  const plugins = await loadPlugins([path], dirname(path));
  const name = type ?? Object.keys(plugins.modifiers)[0];
  if (name === undefined) throw new TypeError(`${path} has no modifier`);
  try {
    const text = JSON.stringify({ version: 1, modifiers: [{ [name]: options }], plugins: [path] });
    parseRecipe(text, { extension: plugins });
    return [];
  } catch (error) {
    if (!(error instanceof TensorpressError && error.code === 'RECIPE')) throw error;
    return error.diagnostics.map(({ message, hint }) => (hint === undefined ? message : `${message}: ${hint}`));
  }
}
