import assert from 'node:assert/strict';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ESLint } from 'eslint';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

// Linted as it stands in eslint.config.js, except that types are not needed and would cost seconds. The files need not exist, what they
// import must: a rule that resolves nothing reports nothing, which is how this one would die unseen.
const eslint = new ESLint({
  cwd: ROOT,
  overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
  ruleFilter: ({ ruleId }) => ruleId.startsWith('import-x/'),
});

/** The findings, as rule names, of a file that imports another; `$` in `text` stands for the specifier. */
async function lint(
  file: string,
  imported: string,
  text = `import { X } from '$';\nexport const Y = X;\n`,
): Promise<string[]> {
  const specifier = relative(dirname(file), imported).replace(/^(?!\.)/, './');
  const [result] = await eslint.lintText(text.replace('$', specifier), { filePath: join(ROOT, file) });
  assert.ok(result);
  return result.messages.map(({ ruleId, message }) => ruleId ?? message).sort();
}

const REFUSED = ['import-x/no-restricted-paths'];

describe('import directions', () => {
  it('refuses an import from a floor above', async () => {
    assert.deepEqual(await lint('src/numerics/x.ts', 'src/schemes/args.js'), REFUSED);
    assert.deepEqual(await lint('src/runtime/model/x.ts', 'src/recipe/recipe.js'), REFUSED);
  });

  it('refuses it as a type and at run time, too', async () => {
    const [file, imported] = ['src/numerics/x.ts', 'src/schemes/args.js'];
    assert.deepEqual(await lint(file, imported, `import type { X } from '$';\nexport type Y = X;\n`), REFUSED);
    assert.deepEqual(await lint(file, imported, `export const x = import('$');\n`), REFUSED);
  });

  it('refuses a neighbour on the same floor, but formats know schemes', async () => {
    assert.deepEqual(await lint('src/schemes/x.ts', 'src/formats/format.js'), REFUSED);
    assert.deepEqual(await lint('src/formats/x.ts', 'src/schemes/args.js'), []);
    assert.deepEqual(await lint('src/evaluation/x.ts', 'src/recipe/recipe.js'), REFUSED);
  });

  it('lets modifiers see the model but no file format', async () => {
    assert.deepEqual(await lint('src/modifiers/x.ts', 'src/runtime/model/model.js'), []);
    assert.deepEqual(await lint('src/modifiers/x.ts', 'src/formats/source.js'), REFUSED);
  });

  it('lets every room import errors, lower floors and itself', async () => {
    assert.deepEqual(await lint('src/numerics/x.ts', 'src/errors.js'), []);
    assert.deepEqual(await lint('src/cli/x.ts', 'src/recipe/recipe.js'), []);
    assert.deepEqual(await lint('src/recipe/deep/x.ts', 'src/recipe/recipe.js'), []);
  });

  it('asks for a floor for a new room, and keeps tests out of the product', async () => {
    assert.deepEqual(await lint('src/attic/x.ts', 'src/numerics/dtypes.js'), REFUSED);
    assert.deepEqual(await lint('src/runtime/attic/x.ts', 'src/errors.js'), REFUSED);
    assert.deepEqual(await lint('src/attic.ts', 'src/errors.js'), REFUSED);
    assert.deepEqual(await lint('src/run/x.ts', 'test/support/golden.js'), REFUSED);
  });

  it('keeps errors below every room, and sees the cycle that it would close', async () => {
    assert.deepEqual(await lint('src/errors.ts', 'src/run/execute.js'), ['import-x/no-cycle', ...REFUSED]);
  });

  it('reports an import that resolves to nothing', async () => {
    assert.deepEqual(await lint('src/run/x.ts', 'src/run/nowhere.js'), ['import-x/no-unresolved']);
  });
});
