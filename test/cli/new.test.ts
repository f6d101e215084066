import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { namesOf } from '../../src/cli/scaffolds.js';
import { cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

describe('names of what is new', () => {
  it('come in every case', () => {
    for (const name of ['ClipOutliers', 'ClipOutliersModifier', 'clip-outliers', 'clip_outliers', 'clipOutliers']) {
      assert.deepEqual(namesOf(name), {
        kebab: 'clip-outliers',
        snake: 'clip_outliers',
        camel: 'clipOutliers',
        type: 'ClipOutliersModifier',
        options: 'ClipOutliersOptions',
      });
    }
    assert.equal(namesOf('FP8Clip')!.kebab, 'fp8-clip');
    assert.equal(namesOf('Awq2')!.type, 'Awq2Modifier');
    for (const name of ['', '2x', 'a b', '../x', 'Modifier']) assert.equal(namesOf(name), undefined, name);
  });
});

describe('new', () => {
  it('writes a modifier that works as it is', async () => {
    const cwd = tempFolder();
    const { exitCode, stdout } = await cli(['new', 'modifier', 'HalveRows', '--json'], { cwd });
    assert.equal(exitCode, 0);
    const files = ['halve-rows.ts', 'halve-rows.schema.json', 'halve-rows.test.ts', 'halve-rows.recipe.yaml'];
    assert.deepEqual(JSON.parse(stdout), { name: 'HalveRowsModifier', files });
    assert.equal((await cli(['test', 'halve-rows.test.ts'], { cwd })).exitCode, 0);
    assert.equal((await cli(['plan', 'halve-rows.recipe.yaml'], { cwd })).exitCode, 0);

    const { stdout: schema } = await cli(['schema', '--plugin', 'halve-rows.ts'], { cwd });
    const validate = new Ajv2020({ strict: true }).compile(JSON.parse(schema) as object);
    const recipe = (options: object) => ({ version: 1, modifiers: [{ HalveRowsModifier: options }] });
    assert.ok(validate(recipe({ limit: 2, targets: 'Linear' })) && !validate(recipe({ limits: 2 })));
  });

  it('writes an observer that works as it is', async () => {
    const cwd = tempFolder();
    assert.equal((await cli(['new', 'observer', 'trimmed', '--out', 'own'], { cwd })).exitCode, 0);
    assert.deepEqual(readdirSync(join(cwd, 'own')).sort(), ['trimmed.recipe.yaml', 'trimmed.test.ts', 'trimmed.ts']);
    assert.equal((await cli(['test', 'own/trimmed.test.ts'], { cwd })).exitCode, 0);
    assert.equal((await cli(['plan', 'own/trimmed.recipe.yaml'], { cwd })).exitCode, 0);
  });

  it('writes over nothing', async () => {
    const cwd = tempFolder();
    writeFileSync(join(cwd, 'x.test.ts'), 'mine');
    const { exitCode, stderr } = await cli(['new', 'modifier', 'X'], { cwd });
    assert.equal(exitCode, 2);
    assert.match(stderr, /x\.test\.ts exists already; nothing was written/);
    assert.ok(readFileSync(join(cwd, 'x.test.ts'), 'utf8') === 'mine' && !existsSync(join(cwd, 'x.ts')));
  });

  it('refuses what it cannot begin', async () => {
    const refused = async (...args: string[]) => {
      const cwd = tempFolder();
      const { exitCode, stderr } = await cli(['new', ...args], { cwd });
      assert.equal(exitCode, 2);
      assert.deepEqual(readdirSync(cwd), []);
      return stderr;
    };
    assert.match(await refused('modifer', 'X'), /did you mean "modifier"/);
    assert.match(await refused('modifier', '../X'), /"\.\.\/X" is no name of a modifier/);
    assert.match(await refused('modifier', 'GPTQ'), /tensorpress has a modifier GPTQModifier of its own/);
    assert.match(await refused('observer', 'static-minmax'), /tensorpress has an observer static_minmax of its own/);
  });
});

describe('test', () => {
  it('has the exit code of the tests', async () => {
    const cwd = tempFolder();
    writeFileSync(
      join(cwd, 'a.test.ts'),
      "import { it } from 'node:test'; it('fails', () => { throw new Error('no'); });",
    );
    assert.equal((await cli(['test', 'a.test.ts'], { cwd })).exitCode, 1);
    const { exitCode, stderr } = await cli(['test', 'b.test.ts'], { cwd });
    assert.equal(exitCode, 2);
    assert.match(stderr, /there is no test b\.test\.ts/);
  });
});
