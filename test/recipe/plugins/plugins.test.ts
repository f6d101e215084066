import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { loadPlugins, observersOf } from '../../../src/recipe/plugins/plugins.js';
import { readRecipe } from '../../../src/recipe/read.js';
import { failure } from '../../support/failure.js';
import { pluginText, writeFiles } from '../../support/plugin.js';

/** What is said of plugins with these texts. */
async function refused(...texts: readonly string[]): Promise<string> {
  const paths = writeFiles(Object.fromEntries(texts.map((text, i) => [`p${i}.ts`, text])));
  const { code, message } = await failure(loadPlugins(paths, '.'));
  assert.equal(code, 'PLUGIN');
  assert.ok(
    paths.some(path => message.includes(path)),
    message,
  );
  return message;
}

const observer = (name: string) =>
  `{ names: ['${name}'], weightRange: async ({ weight, grid }: any) => weight.range(grid) }`;

describe('plugins', () => {
  it('bring modifiers and observers: by default, in a list, by name', async () => {
    const paths = writeFiles({
      'a.ts': pluginText({ type: 'AModifier' }),
      'b.ts': `export default [${observer('b1')}, ${observer('b2')}]; export const helper = () => 1;`,
      'c.ts': `export const c = { ...${observer('c')}, kwargs: ['k'] };`,
    });
    const plugins = await loadPlugins(['./a.ts', './b.ts', './c.ts'], dirname(paths[0]!));
    assert.deepEqual(Object.keys(plugins.modifiers), ['AModifier']);
    assert.deepEqual(plugins.observers, { b1: [], b2: [], c: ['k'] });
    assert.deepEqual(
      observersOf(plugins).map(({ names }) => names[0]),
      ['b1', 'b2', 'c'],
    );
    assert.deepEqual(
      plugins.list.map(({ named, files }) => [named, files.length]),
      [
        ['./a.ts', 1],
        ['./b.ts', 1],
        ['./c.ts', 1],
      ],
    );
  });

  it('are refused when they are neither', async () => {
    assert.match(await refused('export default 1;'), /exports by default what is neither a modifier nor an observer$/);
    assert.match(await refused('export const x = 1;'), /exports no modifier and no observer/);
    const text = pluginText().replace('async edit', 'async edits');
    assert.match(await refused(text), /neither a modifier nor an observer: a modifier has edit too/);
    assert.match(await refused("export default { names: ['x'] };"), /an observer has names, and weightRange or values/);
  });

  it('take no name that is taken, and none that cannot be written', async () => {
    assert.match(await refused(pluginText({ type: 'GPTQModifier' })), /name GPTQModifier: it is one of tensorpress/);
    assert.match(await refused(pluginText(), pluginText()), /name BadModifier: .*p0\.ts has it already/);
    assert.match(await refused(pluginText({ type: 'a/b' })), /calls a modifier "a\/b"/);
    for (const name of ['Static-MinMax', 'hessian'])
      assert.match(await refused(`export default ${observer(name)};`), /it is one of tensorpress/);
    assert.match(await refused(`export default ${observer('MyRange')};`), /calls an observer "MyRange"/);
    assert.match(await refused(`export default { ...${observer('x')}, weighs: true };`), /importance of columns/);
  });

  it('have schemas that are valid', async () => {
    const withSchema = (schema: string) => refused(pluginText({ schema }));
    assert.match(await withSchema("'./none.json'"), /names the schema \.\/none\.json, which cannot be read/);
    assert.match(await withSchema("{ type: 'array' }"), /it describes no map/);
    assert.match(
      await withSchema("{ type: 'object', properties: { a: { type: 'numbr' } } }"),
      /a schema of BadModifier that is not valid/,
    );
    assert.match(await withSchema("{ type: 'object', proprties: {} }"), /not valid: .*unknown keyword.*proprties/);
    const [path] = writeFiles({ 'a.ts': pluginText({ schema: "'./a.json'" }), 'a.json': '{"type": ' });
    const { message } = await failure(loadPlugins([path!], '.'));
    assert.match(message, /a\.json is no JSON/);
  });

  it('carry their schema file', async () => {
    const paths = writeFiles({
      'a.ts': pluginText({ schema: "'./schemas/a.json'" }),
      'schemas/a.json': '{"type": "object", "properties": {"limit": {"type": "number"}}}',
    });
    const { list } = await loadPlugins(['./a.ts'], dirname(paths[0]!));
    assert.deepEqual(
      list[0]!.files.map(({ path, named }) => [path, named]),
      [
        [paths[0], './a.ts'],
        [paths[1], './schemas/a.json'],
      ],
    );
  });
});

describe('a recipe with plugins', () => {
  const recipe = (options: string, more = '') =>
    `version: 1\nmodifiers:\n  - BadModifier: ${options}\nplugins: [./bad.ts${more}]\n`;
  const read = (text: string, files: Readonly<Record<string, string>> = { 'bad.ts': pluginText() }) => {
    const [path] = writeFiles({ 'recipe.yaml': text, ...files });
    return readRecipe(path!);
  };
  const first = async (text: string, files?: Readonly<Record<string, string>>) => {
    const { code, diagnostics } = await failure(read(text, files));
    assert.equal(code, 'RECIPE');
    return diagnostics[0]!;
  };

  it('is read with what they bring', async () => {
    const { recipe: native, plugins } = await read(recipe('{limit: 1}'));
    assert.deepEqual(native.modifiers, [{ BadModifier: { limit: 1 } }]);
    assert.equal(plugins.list[0]!.modifiers[0]!.type, 'BadModifier');
  });

  it('is checked by their schemas, with places', async () => {
    const range = await first(recipe('{limit: 3}'));
    assert.deepEqual(
      [range.code, range.message, range.line, range.column],
      ['out-of-range', 'limit must be at most 2, not 3', 3, 26],
    );
    const field = await first(recipe('{limt: 1}'));
    assert.deepEqual([field.code, field.hint], ['unknown-field', 'a field of BadModifier; did you mean "limit"?']);
    const name = await first(recipe('{}').replace('BadM', 'BatM'));
    assert.equal(name.hint, 'did you mean "BadModifier"?');
  });

  it('says where it names a file that is not there', async () => {
    const { code, message, line, column } = await first(recipe('{}', ', ./none.ts'));
    assert.deepEqual([code, line, column], ['no-plugin', 4, 21]);
    assert.match(message, /there is no plugin .*none\.ts$/);
  });

  it('runs no code while anything else is wrong', async () => {
    const { message } = await first(`${recipe('{}')}modifers: 1\n`, { 'bad.ts': "throw new Error('it ran');" });
    assert.equal(message, 'unknown field "modifers"');
  });

  it('names their observers wherever an observer stands', async () => {
    const files = { 'bad.ts': `export default { ...${observer('own')}, kwargs: ['k'] };` };
    const scheme = (weights: string) =>
      `version: 1\nmodifiers:\n  - QuantizationModifier:\n      config_groups: {a: {targets: [Linear], weights: {num_bits: 8, ${weights}}}}\nplugins: [./bad.ts]\n`;
    await read(scheme('observer: own, observer_kwargs: {k: 1}'), files);
    assert.match((await first(scheme('observer: owm'), files)).hint!, /did you mean "own"/);
    assert.match((await first(scheme('observer: own, observer_kwargs: {kk: 1}'), files)).message, /unknown field "kk"/);
    assert.match(
      (await first(scheme('observer: own, observer_kwargs: {norm: 1}'), files)).message,
      /observer own has no option norm/,
    );
  });
});
