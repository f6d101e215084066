import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TensorpressError } from '../src/errors.js';
import { parseRecipe } from '../src/recipe/parse.js';
import { plan } from '../src/run/prepare.js';

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
    it(`${name} plans on the example model`, async () => {
      try {
        const { modules, warnings } = await plan({ recipe: path(`recipes/${name}`) });
        assert.ok(modules.some(({ scheme }) => scheme !== null));
        assert.deepEqual(warnings, []);
      } catch (error) {
        // a recipe may be ahead of what is built, but not wrong
        assert.ok(error instanceof TensorpressError && error.code === 'NOT_BUILT', String(error));
      }
    });
  }
});
