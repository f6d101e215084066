import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { TensorpressError } from '../../src/errors.js';
import { parseSize } from '../../src/formats/safetensors/shards.js';
import { generateTypes } from '../../scripts/schema.js';
import {
  bundle,
  mapSchema,
  mergedSchema,
  modifierTypes,
  normalSchema,
  resolve,
  type Schema,
} from '../../src/recipe/schema.js';
import { OBSERVERS } from '../../src/schemes/observer-names.js';
import { preset, presetNames } from '../../src/schemes/presets.js';

const FOLDER = fileURLToPath(new URL('../../schema', import.meta.url));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.json'));
const full = bundle();
const normal = normalSchema(full);

function strict(schema: Schema) {
  const ajv = new Ajv2020({ strict: true, allErrors: true, discriminator: true });
  ajv.addVocabulary(['spelling']);
  return ajv.compile(schema);
}

/** Every schema inside a schema. */
function parts(schema: Schema): Schema[] {
  const found: Schema[] = [];
  mapSchema(schema, part => {
    found.push(part);
    return part;
  });
  return found;
}

describe('schema files', () => {
  it('have an $id that says where they are, a title and a description', () => {
    assert.ok(files.includes('recipe.schema.json'));
    for (const file of files) {
      const { $id, $schema, title, description } = JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Schema;
      assert.equal($id, `https://tensorpress.dev/schema/${file}`);
      assert.equal($schema, 'https://json-schema.org/draft/2020-12/schema');
      assert.ok(title && description, file);
    }
  });

  it('are all part of the recipe schema, but for that of the report', () => {
    const names = Object.keys(full.$defs!).map(name => name.split('.')[0]!);
    for (const file of files) {
      const name = file.replace(/^.*\//, '').replace('.schema.json', '');
      assert.ok(name === 'recipe' || name === 'report' || names.includes(name), file);
    }
    assert.equal(modifierTypes(full).length, readdirSync(`${FOLDER}/modifiers`).length);
  });

  it('compile in strict mode: all spellings, the normal form, and the merged schema by itself', () => {
    strict(full);
    strict(normal);
    new Ajv2020({ strict: true }).compile(mergedSchema());
  });

  it('describe every property', () => {
    for (const schema of parts(full)) {
      for (const [name, property] of Object.entries(schema.properties ?? {})) {
        assert.ok((resolve(property, full).description ?? '').length > 10, `${schema.title}.${name}`);
      }
    }
  });

  it('hold examples and defaults that they accept', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const $defs = mergedSchema().$defs!;
    for (const schema of parts(mergedSchema())) {
      const values = [...(schema.examples ?? []), ...(schema.default === undefined ? [] : [schema.default])];
      const { examples: _, default: __, ...rest } = schema;
      if (values.length === 0) continue;
      const { $id: ___, ...schemaOnly } = rest;
      const validate = ajv.compile({ ...schemaOnly, $defs });
      for (const value of values)
        assert.ok(validate(value), `${schema.title ?? schema.description}: ${JSON.stringify(value)}`);
    }
  });

  it('close every map that has named fields', () => {
    for (const schema of parts(full)) {
      if (schema.properties !== undefined && schema.title !== 'SchedulerArgs') {
        assert.equal(schema.additionalProperties, false, schema.title ?? schema.description);
      }
    }
  });

  it('know the presets and the observers of the schemes, in every accepted case', () => {
    const { anyOf } = full.$defs!['preset']!;
    assert.deepEqual([...(anyOf![0]!.enum as string[])].sort(), presetNames().sort());
    const accepts = strict(full.$defs!['preset']!);
    for (const name of presetNames())
      assert.ok(accepts(name.toLowerCase()) && preset(name.toLowerCase(), []) !== undefined);
    for (const name of ['W4A61', 'W4', '', 'W4A16 ']) assert.ok(!accepts(name) && preset(name, []) === undefined);
    const observers = full.$defs!['observer']!;
    assert.deepEqual([...(observers.anyOf![0]!.enum as string[])].sort(), Object.keys(OBSERVERS).sort());
    const observes = strict(observers);
    for (const name of Object.keys(OBSERVERS)) assert.ok(observes(name.toUpperCase().replaceAll('_', '-')), name);
    assert.ok(observes(null) && !observes('mseee') && !observes('mse '));
    const kwargs = full.$defs!['quantization-args']!.properties!['observer_kwargs']!.properties!;
    assert.deepEqual(
      Object.keys(kwargs).sort(),
      [...new Set(Object.values(OBSERVERS).flatMap(o => Object.keys(o)))].sort(),
    );
  });
});

describe('sizes in recipes', () => {
  const fields = ['compressed-tensors', 'gguf'].map(name => full.$defs![`output.${name}`]!.properties!);
  const accepts = [fields[0]!['max_shard_size']!, fields[1]!['split']!].map(strict);

  it('are those that parseSize reads, in the same spellings', () => {
    const digits = fc.oneof(
      fc.integer({ min: 1, max: 999 }).map(String),
      fc.constantFrom('1.5', '0.25', '1.', '.5', '-1', '1e3'),
    );
    const unit = fc.constantFrom(
      '',
      'B',
      'b',
      'kB',
      'KB',
      'kb',
      'KiB',
      'kib',
      'MB',
      'mB',
      'MiB',
      'GB',
      'gB',
      'GiB',
      'TB',
      'TiB',
      'iB',
      'k',
      'G',
      'PB',
      'kBB',
    );
    const space = fc.constantFrom('', ' ', '  ');
    fc.assert(
      fc.property(digits, space, unit, space, (number, gap, name, end) => {
        const text = `${end}${number}${gap}${name}${end}`;
        const isRead = readsSize(text) || (number === '0.25' && /^b?$/i.test(name)); // well formed, but less than a byte
        for (const accept of accepts) assert.equal(accept(text), isRead, JSON.stringify(text));
      }),
      { numRuns: 2000 },
    );
  });
});

function readsSize(text: string): boolean {
  try {
    return parseSize(text) > 0;
  } catch {
    return false;
  }
}

describe('mergedSchema', () => {
  it('is one document with local references only, and no keyword of ours', () => {
    const text = JSON.stringify(mergedSchema());
    assert.deepEqual(
      [...text.matchAll(/"\$ref":"([^"]*)"/g)].filter(([, ref]) => !ref!.startsWith('#/$defs/')),
      [],
    );
    assert.doesNotMatch(text, /"spelling"|"discriminator":\{"propertyName"/);
    assert.equal(mergedSchema().$id, 'https://tensorpress.dev/schema/recipe.schema.json');
  });

  it('takes the modifiers of plugins, which may use definitions of theirs and of ours', () => {
    const clip: Schema = {
      title: 'ClipOutliersModifier',
      type: 'object',
      properties: {
        targets: { $ref: 'https://tensorpress.dev/schema/parts/patterns.schema.json#/$defs/patterns' },
        limit: { $ref: '#/$defs/limit' },
      },
      additionalProperties: false,
      $defs: { limit: { type: 'number', minimum: 0 } },
    };
    const validate = new Ajv2020({ strict: true }).compile(mergedSchema({ modifiers: { ClipOutliersModifier: clip } }));
    const recipe = (options: unknown) => ({ version: 1, modifiers: [{ ClipOutliersModifier: options }] });
    assert.ok(validate(recipe({ targets: 'Linear', limit: 3 })));
    assert.ok(!validate(recipe({ limit: -1 })));
    assert.ok(!validate(recipe({ other: 1 })));
    for (const $ref of [
      'https://example.org/x.json',
      'https://tensorpress.dev/schema/none.json',
      '#/$defs/none',
      '#/properties/a',
    ]) {
      const broken = { type: 'object', properties: { a: { $ref } } };
      assert.throws(
        () => mergedSchema({ modifiers: { X: broken } }),
        (error: TensorpressError) => error.code === 'PLUGIN',
      );
    }
  });
});

describe('types.generated.ts', () => {
  it('is what the schemas give', async () => {
    const path = new URL('../../src/recipe/types.generated.ts', import.meta.url);
    assert.equal(readFileSync(path, 'utf8'), await generateTypes());
  });
});
