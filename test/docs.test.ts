import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseRecipe } from '../src/recipe/parse.js';
import { readRecipe } from '../src/recipe/read.js';
import { plan } from '../src/run/prepare.js';
import type { Report } from '../src/run/report.js';
import { cli } from './support/run-cli.js';
import { tempFolder } from './support/temp.js';

const root = new URL('..', import.meta.url);
const path = (name: string) => fileURLToPath(new URL(name, root));
const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(path('docs')).map(name => `docs/${name}`)].filter(name =>
  name.endsWith('.md'),
);

describe('documentation', () => {
  for (const page of pages) {
    const text = readFileSync(path(page), 'utf8');
    [...text.matchAll(/^```yaml\n(.*?)^```/gms)].forEach(([, yaml = ''], i) => {
      it(`the recipe ${i + 1} of ${page} is valid`, () => {
        parseRecipe(yaml, { file: 'recipe.yaml' });
      });
    });

    it(`${page} links to files that exist`, () => {
      for (const [, link = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        const target = new URL(link, new URL(page, root));
        assert.doesNotThrow(() => readFileSync(target), `${page}: ${link}`);
      }
    });
  }
});

describe('recipes', () => {
  for (const name of readdirSync(path('recipes'))) {
    const recipe = path(`recipes/${name}`);

    it(`${name} plans on the example model`, async () => {
      const { modules, attention, warnings } = await plan({ recipe });
      assert.ok(attention.length > 0 || modules.some(({ scheme }) => scheme !== null));
      assert.deepEqual(warnings, []);
    });

    it(`${name} is carried out on the example model`, async () => {
      const { calibration } = (await readRecipe(recipe)).recipe;
      const few = calibration ? ['calibration.samples=1', 'calibration.sequence_length=32'] : [];
      const out = join(tempFolder(), 'out');
      const result = await cli(['apply', recipe, '--out', out, '--json', ...few.flatMap(value => ['--set', value])]);
      assert.equal(result.exitCode, 0, result.stderr);
      const report = JSON.parse(result.stdout) as Report;
      assert.equal(report.calibration?.tokens, calibration && 32);
      assert.ok(existsSync(join(out, 'run.json')));
    });
  }
});
