import { existsSync, readFileSync } from 'node:fs';
import { TensorpressError } from '../errors.js';
import type { OtherObservers } from '../schemes/observer-names.js';

/** A JSON Schema (2020-12), as far as the schemas of recipes use it. */
export interface Schema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: boolean | Schema;
  readonly prefixItems?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  /**
   * Ours: the first alternative of `anyOf` is the normal form, the others are further spellings that lead to it; the value says how.
   * `ignored` marks a field that is accepted and dropped.
   */
  readonly spelling?: 'list' | 'case' | 'dtype' | 'block' | 'actorder' | 'ignored';
  readonly [keyword: string]: unknown;
}

export type Schemas = Readonly<Record<string, Schema>>;

/** What plugins add to the language. */
export interface Extension {
  /** Schemas of the options of their modifiers, by class. */
  readonly modifiers?: Schemas;
  readonly observers?: OtherObservers;
}

const BASE = 'https://tensorpress.dev/schema/';
const ROOT = 'recipe.schema.json';
const FOLDER = new URL('../../schema/', import.meta.url);
const MODIFIERS = 'modifiers';
const OBSERVER = 'observer';
const ARGS = 'quantization-args';

/**
 * The schema of recipes in one piece: every file below `schema/` that the root leads to, as `$defs`, with local references only. Modifiers of
 * plugins are added by class; their schemas may refer to their own `$defs` and to ours by `$id`, and take no fields but those they name unless
 * they say so.
 *
 * @throws TensorpressError PLUGIN when a plugin's schema refers to something that does not exist
 */
export function bundle({ modifiers: added = {}, observers = {} }: Extension = {}): Schema {
  const $defs: Record<string, Schema> = {};
  const root = inline(readSchema(ROOT), BASE + ROOT, $defs);
  const extra: Record<string, Schema> = {};
  for (const [type, schema] of Object.entries(added)) {
    const id = schema.$id ?? `${BASE}plugins/${type}.schema.json`;
    const name = `plugin.${type}`;
    add(name, inline(closed(schema), id, $defs, name), $defs);
    extra[type] = { $ref: `#/$defs/${name}` };
  }
  for (const [name, schema] of Object.entries($defs)) {
    if (name.startsWith('plugin.')) mapSchema(schema, part => checkReference(part, name, $defs));
  }
  const modifiers = $defs[MODIFIERS]!;
  $defs[MODIFIERS] = { ...modifiers, properties: { ...modifiers.properties, ...extra } };
  addObservers(observers, $defs);
  return { ...root, $defs };
}

/** The schema that `tensorpress schema` prints: what editors and other validators need, and no keyword of ours. */
export function mergedSchema(extension: Extension = {}): Schema {
  return mapSchema(bundle(extension), ({ spelling: _, discriminator: __, ...schema }) => schema);
}

/** The schema of the normal form, which the types are made from and which a recipe is checked against once its spelling is normal. */
export function normalSchema(full: Schema): Schema {
  const { $defs } = mapSchema(full, schema => {
    const { spelling, anyOf, ...rest } = schema;
    const normal = spelling !== undefined && anyOf !== undefined ? { ...rest, ...anyOf[0] } : schema;
    const properties = Object.entries(normal.properties ?? {}).filter(
      ([, property]) => resolve(property, full).spelling !== 'ignored',
    );
    return { ...normal, ...(normal.properties === undefined ? {} : { properties: Object.fromEntries(properties) }) };
  });
  const used = closure($defs!, 'native');
  return {
    $schema: full.$schema!,
    ...$defs!['native'],
    $defs: Object.fromEntries(used.map(name => [name, $defs![name]!])),
  };
}

/** Follows a reference into the bundle. */
export function resolve(schema: Schema, { $defs = {} }: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const { $ref, ...rest } = schema;
  return { ...resolve($defs[$ref.replace('#/$defs/', '')]!, { $defs }), ...rest };
}

/** Names of the modifiers that a bundle knows. */
export function modifierTypes(full: Schema): string[] {
  return Object.keys(full.$defs![MODIFIERS]!.properties!);
}

function readSchema(path: string): Schema {
  return JSON.parse(readFileSync(new URL(path, FOLDER), 'utf8')) as Schema;
}

function add(name: string, schema: Schema, $defs: Record<string, Schema>): void {
  const { $schema: _, $id: __, $defs: ___, ...rest } = schema;
  $defs[name] = rest;
}

/**
 * Rewrites the references of a file to local ones, and adds what they lead to. A file becomes the definition `<file name>`, its own
 * definitions `<file name>.<definition>`.
 */
function inline(file: Schema, id: string, $defs: Record<string, Schema>, name = nameOf(id)): Schema {
  const local = mapSchema(file, schema => {
    if (schema.$ref === undefined) return schema;
    const url = new URL(schema.$ref, id);
    const target = url.href.startsWith(`${id}#`) ? name : nameOf(url.href);
    const definition = url.hash.replace(/^#(\/\$defs\/)?/, '');
    if (target !== name && !Object.hasOwn($defs, target)) {
      const path = url.href.slice(BASE.length).replace(/#.*/, '');
      if (!url.href.startsWith(BASE) || !existsSync(new URL(path, FOLDER))) throw notFound(id, schema.$ref);
      $defs[target] = {};
      add(target, inline(readSchema(path), BASE + path, $defs), $defs);
    }
    return { ...schema, $ref: `#/$defs/${definition === '' ? target : `${target}.${definition}`}` };
  });
  for (const [key, definition] of Object.entries(local.$defs ?? {})) add(`${name}.${key}`, definition, $defs);
  return local;
}

/** Names of observers, and what their `observer_kwargs` may hold. */
function addObservers(observers: OtherObservers, $defs: Record<string, Schema>): void {
  const { [OBSERVER]: observer, [ARGS]: args } = $defs as Record<string, Schema>;
  const known = Object.entries(observers === 'any' ? {} : observers);
  if (observers !== 'any' && known.length === 0) return;
  const [names, ...others] = observer!.anyOf!;
  const all = [...names!.enum!, ...known.map(([name]) => name)];
  const anyName = observers === 'any' ? [{ type: 'string' }] : [];
  $defs[OBSERVER] = { ...observer, anyOf: [{ ...names, enum: all }, ...others, ...anyName] };

  const kwargs = args!.properties!['observer_kwargs']!;
  const added = known.flatMap(([name, keys]) => keys.map(key => [key, { description: `Option of ${name}.` }] as const));
  const properties = { ...Object.fromEntries(added), ...kwargs.properties };
  const observer_kwargs = { ...kwargs, properties, ...(observers === 'any' && { additionalProperties: true }) };
  $defs[ARGS] = { ...args, properties: { ...args!.properties, observer_kwargs } };
}

/** A map with named fields is meant to have no others: only so can a misspelt one be found. */
function closed(schema: Schema): Schema {
  return schema.properties === undefined ? schema : { additionalProperties: false, ...schema };
}

function checkReference(part: Schema, name: string, $defs: Schemas): Schema {
  if (part.$ref !== undefined && !Object.hasOwn($defs, part.$ref.replace('#/$defs/', '')))
    throw notFound(name, part.$ref);
  return part;
}

function notFound(schema: string, reference: string): TensorpressError {
  const hint = 'a schema may refer to its own $defs, and to the files of tensorpress by their $id';
  return new TensorpressError('PLUGIN', `the schema ${schema} refers to ${reference}, which does not exist`, { hint });
}

function nameOf(id: string): string {
  return id.replace(/#.*/, '').replace(/^.*\//, '').replace('.schema.json', '');
}

/** Names of the definitions that one leads to, itself included. */
function closure($defs: Schemas, from: string): string[] {
  const found = new Set<string>();
  const visit = (schema: Schema) =>
    void mapSchema(schema, part => {
      const name = part.$ref?.replace('#/$defs/', '');
      if (name !== undefined && !found.has(name)) {
        found.add(name);
        visit($defs[name]!);
      }
      return part;
    });
  visit($defs[from]!);
  return [...found];
}

/** Applies `change` to a schema and to all schemas inside it, from the inside out. Data (`default`, `examples`, `enum`, `const`) stays as it is. */
export function mapSchema(schema: Schema, change: (schema: Schema) => Schema): Schema {
  const inner = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(v => inner(v));
    return typeof value === 'object' && value !== null ? mapSchema(value as Schema, change) : value;
  };
  const changed = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (['default', 'examples', 'enum', 'const', 'required', 'discriminator'].includes(keyword))
      return [keyword, value];
    if (['properties', 'patternProperties', '$defs'].includes(keyword)) {
      return [
        keyword,
        Object.fromEntries(Object.entries(value as Schemas).map(([name, part]) => [name, mapSchema(part, change)])),
      ];
    }
    return [keyword, inner(value)];
  });
  return change(Object.fromEntries(changed));
}
