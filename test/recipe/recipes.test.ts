import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { mergedSchema } from '../../src/recipe/schema.js';
import { roundTrip } from './support.js';

const FOLDER = fileURLToPath(new URL('../../recipes', import.meta.url));

describe('recipes/', () => {
  const validate = new Ajv2020({ strict: true }).compile(mergedSchema());
  const names = readdirSync(FOLDER).filter(name => name.endsWith('.yaml'));
  it('has the recipe of the quickstart', () => assert.ok(names.includes('quickstart.yaml')));

  for (const name of names) {
    it(`${name} is valid, and says for whom, on what, and what to expect`, () => {
      const text = readFileSync(`${FOLDER}/${name}`, 'utf8');
      roundTrip(text);
      assert.ok(validate(parse(text)), JSON.stringify(validate.errors));
      for (const word of ['For', 'On', 'Expect']) assert.match(text, new RegExp(`^# ${word}: +\\S`, 'm'));
    });
  }
});
