import { readRecipe } from '../recipe/read.js';
import type { Screen } from './screen.js';

/** `tensorpress validate`: every error at once, thrown as one. */
export async function validateCommand(
  path: string,
  set: readonly string[],
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  const { recipe } = await readRecipe(path, { overrides: set });
  const modifiers = recipe.modifiers.map(entry => Object.keys(entry)[0]).join(', then ') || 'no modifiers';
  if (json) screen.print(JSON.stringify({ ok: true, errors: [] }));
  else screen.say(`${path} is valid: ${modifiers}`);
}
