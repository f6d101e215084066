import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TensorpressError } from '../../../src/errors.js';
import { importFile } from '../../../src/recipe/plugins/module.js';
import { writeFiles } from '../../support/plugin.js';

async function refused(files: Readonly<Record<string, string>>): Promise<TensorpressError> {
  const [path] = writeFiles(files);
  try {
    await importFile(path!);
  } catch (error) {
    assert.ok(error instanceof TensorpressError, String(error));
    assert.equal(error.code, 'PLUGIN');
    return error;
  }
  return assert.fail('it loads');
}

describe('a module of a user', () => {
  it('is TypeScript of any kind, from any folder', async () => {
    const [path] = writeFiles({
      'a.ts': `import { TensorpressError, type Modifier } from 'tensorpress';
import { Modifier as Unused } from 'tensorpress';
enum Kind { One = 1 }
class Box { constructor(readonly value: number) {} }
export const value: number = new Box(Kind.One).value;
export const error = TensorpressError;
export let modifier: Modifier | Unused | undefined;
export const here = import.meta.url;
`,
    });
    const { exports } = await importFile(path!);
    assert.equal(exports['value'], 1);
    assert.equal(exports['error'], TensorpressError);
    assert.equal(exports['here'], pathToFileURL(path!).href);
  });

  it('consists of the files that it imports, each with its hash', async () => {
    const paths = writeFiles({
      'a.ts':
        "import { b } from './lib/b.js'; import d from '../d.json' with { type: 'json' }; export default [b, d, await import('./c.mjs')];",
      'lib/b.ts': "import type { Never } from './never.js'; export { c as b } from '../c.mjs'; export type N = Never;",
      'c.mjs': "import { basename } from 'node:path'; export const c = basename('x/c');",
    });
    const data = join(dirname(dirname(paths[0]!)), 'd.json');
    writeFiles({ 'd.json': '{"x": 1}' }, dirname(data));
    const { exports, files } = await importFile(paths[0]!);
    const [b, d, c] = exports['default'] as [string, object, { c: string }];
    assert.deepEqual([b, d, c.c], ['c', { x: 1 }, 'c']);
    assert.equal(files[0]!.path, paths[0]);
    assert.deepEqual(files.map(({ path }) => path).sort(), [...paths, data].sort());
    for (const { path, bytes, sha256 } of files) {
      const text = readFileSync(path);
      assert.equal(bytes, text.length);
      assert.equal(sha256, createHash('sha256').update(text).digest('hex'));
    }
  });

  it('is what its file holds now', async () => {
    const [path] = writeFiles({ 'a.ts': 'export default 1;' });
    assert.equal((await importFile(path!)).exports['default'], 1);
    writeFiles({ 'a.ts': 'export default 2;' }, dirname(path!));
    assert.equal((await importFile(path!)).exports['default'], 2);
  });

  it('takes packages that are installed beside it', async () => {
    const [path] = writeFiles({
      'a.ts': "export { two } from 'two';",
      'node_modules/two/package.json': '{"name": "two", "main": "two.js"}',
      'node_modules/two/two.js': 'exports.two = 2;',
    });
    assert.equal((await importFile(path!)).exports['two'], 2);
    const { message, hint } = await refused({ 'a.ts': "import 'three-of-them';" });
    assert.match(message, /a\.ts imports three-of-them, which is not there/);
    assert.equal(hint, 'npm install three-of-them in the folder of the file');
  });

  it('leaves names alone that are put together when it runs', async () => {
    const [path] = writeFiles({ 'a.ts': "export const path = await import('node:' + 'path');" });
    assert.equal(typeof (await importFile(path!)).exports['path'], 'object');
    const { message, hint } = await refused({ 'a.ts': "await import('no-such-' + 'package');" });
    assert.match(message, /a\.ts fails while it is loaded: /);
    assert.match(hint!, /an ES module/);
  });

  it('says in which file what is wrong', async () => {
    const syntax = await refused({ 'a.ts': 'export default 1;\nconst x: = 3;' });
    assert.match(syntax.message, /a\.ts:2:10: Type expected$/);
    assert.deepEqual([syntax.place.line, syntax.place.column], [2, 10]);
    assert.match((await refused({ 'a.js': 'export default {;' })).message, /a\.js:1:17: /);
    assert.match(
      (await refused({ 'a.ts': "throw new Error('no luck');" })).message,
      /a\.ts fails while it is loaded: no luck/,
    );
    assert.match((await refused({ 'a.ts': "import './b.ts';" })).message, /b\.ts does not exist/);
    assert.match(
      (await refused({ 'a.ts': "import './b.ts';", 'b.ts': "import './a.ts';" })).message,
      /circle of imports: a\.ts > b\.ts > a\.ts/,
    );
    assert.match((await refused({ 'a.py': 'x = 1' })).message, /a\.py is no module/);
    assert.match((await refused({ 'a.ts': "import { nothing } from 'tensorpress'; nothing();" })).message, /nothing/);
  });
});
