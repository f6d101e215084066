import { TensorpressError } from '../errors.js';
import { formatDiagnostics } from '../recipe/findings.js';
import { readRecipe } from '../recipe/read.js';
import type { Screen } from './screen.js';

/** `tensorpress validate`: every error at once, exit code 2 when there is one. */
export async function validateCommand(
  path: string,
  set: readonly string[],
  screen: Screen,
  { json }: { json: boolean },
): Promise<number> {
  try {
    const { recipe } = await readRecipe(path, { overrides: set });
    if (json) screen.print(JSON.stringify({ ok: true, errors: [] }));
    else
      screen.say(
        `${path} is valid: ${recipe.modifiers.map(entry => Object.keys(entry)[0]).join(', then ') || 'no modifiers'}`,
      );
    return 0;
  } catch (error) {
    if (!(error instanceof TensorpressError) || error.code !== 'RECIPE') throw error;
    if (json) {
      const errors = error.diagnostics.map(({ code, message, file, line, column, path: pointer, hint }) => ({
        code,
        message,
        file,
        line,
        column,
        path: pointer,
        hint,
      }));
      screen.print(JSON.stringify({ ok: false, errors }, null, 2));
    } else {
      process.stderr.write(`${formatDiagnostics(error)}\n`);
    }
    return error.exitCode;
  }
}
