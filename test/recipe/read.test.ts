import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TensorpressError } from '../../src/errors.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { readRecipe, validateRecipe } from '../../src/recipe/read.js';
import { one, rejected } from './support.js';

const W4A16 = one('QuantizationModifier', '{scheme: W4A16}');

describe('readRecipe', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tensorpress-recipe-'));
    mkdirSync(join(folder, 'folder.yaml'));
    writeFileSync(join(folder, 'good.yaml'), W4A16);
    writeFileSync(join(folder, 'bad.yaml'), W4A16.replace('W4A16', 'W4A61'));
    writeFileSync(join(folder, 'card.md'), `---\n${W4A16}---\n# Card\n`);
    writeFileSync(join(folder, 'latin1.yaml'), Buffer.from([0x23, 0xe9, 0x0a]));
    writeFileSync(join(folder, 'large.yaml'), Buffer.alloc(10_000_000, '#'));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function fails(name: string, code: string, message: RegExp): Promise<void> {
    await assert.rejects(readRecipe(join(folder, name)), (error: TensorpressError) => {
      assert.ok(error instanceof TensorpressError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(error.exitCode, 2);
      assert.equal(error.place.file, join(folder, name));
      return true;
    });
  }

  it('reads YAML and markdown, with the file in every place', async () => {
    const parsed = await readRecipe(join(folder, 'good.yaml'));
    assert.deepEqual(parsed.recipe, (await readRecipe(join(folder, 'card.md'))).recipe);
    assert.equal(parsed.file, join(folder, 'good.yaml'));
    assert.equal(parsed.locate(['modifiers']).file, parsed.file);
  });

  it('applies overrides', async () => {
    const { recipe } = await readRecipe(join(folder, 'good.yaml'), {
      overrides: ['modifiers.0.QuantizationModifier.scheme=FP8'],
    });
    assert.deepEqual(recipe.modifiers, [{ QuantizationModifier: { scheme: 'FP8' } }]);
  });

  it('says in a sentence why a file cannot be read', async () => {
    await fails('absent.yaml', 'ARGUMENT', /^there is no recipe .*absent\.yaml$/);
    await fails('folder.yaml', 'ARGUMENT', /folder\.yaml is not a file$/);
    await fails('latin1.yaml', 'ARGUMENT', /latin1\.yaml is not text in UTF-8$/);
    await fails('large.yaml', 'RECIPE', /has 10000000 bytes, a recipe at most 1000000$/);
  });

  it('does not read what is too large, and names any other failure of the file system', async () => {
    const size = (bytes: number) => () => Promise.resolve({ size: bytes, isFile: () => true });
    const readFile = () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }));
    await assert.rejects(readRecipe('r.yaml', { fs: { stat: size(1e9), readFile } }), /at most/);
    await assert.rejects(
      readRecipe('r.yaml', { fs: { stat: size(10), readFile } }),
      /r\.yaml cannot be read \(EACCES\)/,
    );
  });

  it('validateRecipe gives the findings as data, with every key', async () => {
    assert.deepEqual(await validateRecipe(join(folder, 'good.yaml')), { ok: true, errors: [] });
    assert.deepEqual(await validateRecipe(join(folder, 'bad.yaml')), {
      ok: false,
      errors: [
        {
          code: 'unknown-value',
          message: 'scheme "W4A61" does not exist',
          file: join(folder, 'bad.yaml'),
          line: 3,
          column: 36,
          path: '/modifiers/0/QuantizationModifier/scheme',
          hint: 'did you mean "W4A16"?',
        },
      ],
    });
    const { errors } = await validateRecipe(join(folder, 'large.yaml'));
    assert.deepEqual(
      errors.map(({ code, line, hint }) => ({ code, line, hint })),
      [{ code: 'too-large', line: null, hint: null }],
    );
    await assert.rejects(validateRecipe(join(folder, 'absent.yaml')), TensorpressError);
  });
});

describe('a parsed recipe', () => {
  const parsed = parseRecipe(
    'a_stage:\n  b_modifiers:\n    GPTQModifier:\n      scheme: W4A16\n      ignore: [lm_head, other]\n',
    {
      file: 'r.yaml',
      overrides: ['calibration={dataset: x.txt}'],
    },
  );
  const at = (...path: (string | number)[]) => {
    const { file, line, column, path: pointer } = parsed.locate(path);
    return [file, line, column, pointer];
  };

  it('knows where values of the native form are written', () => {
    const base = '/a_stage/b_modifiers/GPTQModifier';
    assert.deepEqual(at('modifiers', 0, 'GPTQModifier'), ['r.yaml', 3, 5, base]);
    assert.deepEqual(at('modifiers', 0, 'GPTQModifier', 'scheme'), ['r.yaml', 4, 15, `${base}/scheme`]);
    assert.deepEqual(at('modifiers', 0, 'GPTQModifier', 'ignore'), ['r.yaml', 5, 7, `${base}/ignore`]);
    assert.deepEqual(at('modifiers', 0, 'GPTQModifier', 'ignore', 1), ['r.yaml', 5, 25, `${base}/ignore/1`]);
    assert.deepEqual(at('calibration', 'dataset'), ['--set', 1, 23, '/calibration/dataset']);
  });

  it('gives the nearest ancestor for what is not written', () => {
    assert.deepEqual(at('modifiers', 0, 'GPTQModifier', 'targets', 0).slice(1, 3), [3, 5]);
    assert.deepEqual(at('outputs', 0).slice(1, 3), [1, 1]);
  });

  it('frames such a place', () => {
    assert.equal(
      parsed.frame(parsed.locate(['modifiers', 0, 'GPTQModifier', 'ignore', 1])),
      '     4 |       scheme: W4A16\n     5 |       ignore: [lm_head, other]\n       |                         ^^^^^',
    );
    assert.match(
      parsed.frame(parsed.locate(['calibration', 'dataset'])),
      /\| calibration=\{dataset: x\.txt\}\n *\| {23}\^{5}$/,
    );
  });
});

describe('modifiers of plugins', () => {
  const text = 'version: 1\nmodifiers:\n  - ClipOutliersModifier: {limit: 3}\n';
  const extension = {
    modifiers: {
      ClipOutliersModifier: { type: 'object', properties: { limit: { type: 'number', maximum: 2 } } },
    },
  };

  it('are errors without plugins', () => {
    assert.match(rejected(text).diagnostics[0]!.message, /modifier "ClipOutliersModifier" does not exist/);
  });

  it('pass while their plugins are not loaded, and are checked when they are', () => {
    const withPlugins = `${text}plugins: [./clip-outliers.ts]\n`;
    assert.deepEqual(parseRecipe(withPlugins).recipe.modifiers, [{ ClipOutliersModifier: { limit: 3 } }]);
    const strange = withPlugins.replace('ClipOutliersModifier', '"a/b%#~1"');
    assert.equal(rejected(strange).diagnostics[0]!.message, 'modifier "a/b%#~1" does not exist');
    assert.equal(rejected(withPlugins, { extension }).diagnostics[0]!.message, 'limit must be at most 2, not 3');
    const other = withPlugins.replace('ClipOutliers', 'ClipOutlier');
    assert.equal(rejected(other, { extension }).diagnostics[0]!.hint, 'did you mean "ClipOutliersModifier"?');
  });
});
