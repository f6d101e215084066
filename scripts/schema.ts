// Writes src/recipe/types.generated.ts from schema/. With --check it only says whether that file is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { bundle, mapSchema, normalSchema, type Schema } from '../src/recipe/schema.js';

const TARGET = new URL('../src/recipe/types.generated.ts', import.meta.url);
const STYLE = new URL('../.prettierrc.json', import.meta.url);

/** The types of recipes in normal form, as the text of a module. */
export async function generateTypes(): Promise<string> {
  const schema = mapSchema(normalSchema(bundle()), forTypes);
  return compile(schema as unknown as JSONSchema, 'NativeRecipe', {
    bannerComment: '// Generated from schema/ by `npm run schema`; do not edit.',
    additionalProperties: false,
    style: JSON.parse(readFileSync(STYLE, 'utf8')) as object,
  });
}

/** What the generator cannot read, in older words: one type per definition, tuples by `items`. */
function forTypes(schema: Schema): Schema {
  if (schema.$ref !== undefined) return { $ref: schema.$ref };
  if (schema.prefixItems !== undefined) {
    const { prefixItems, ...rest } = schema;
    return { ...rest, items: prefixItems as unknown as Schema };
  }
  // some names with completion, else any name
  const types = schema.anyOf?.map(({ type }) => type) ?? [];
  if (types[0] === 'string' && types.every(type => type === 'string' || type === 'null')) {
    const type = types.includes('null') ? ['string', 'null'] : 'string';
    return { title: schema.title!, description: schema.description!, type };
  }
  return schema;
}

async function main(): Promise<void> {
  const text = await generateTypes();
  if (!process.argv.includes('--check')) return writeFileSync(TARGET, text);
  if (readFileSync(TARGET, 'utf8') === text) return;
  process.stderr.write('src/recipe/types.generated.ts does not match schema/: run `npm run schema`\n');
  process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
