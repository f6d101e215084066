import * as promises from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { TensorpressError } from '../../errors.js';
import type { Modifier } from '../../modifiers/modifier.js';
import type { Observer } from '../../observers/observer.js';
import { isAlgorithmObserver } from '../../observers/table.js';
import { observerName } from '../../schemes/observer-names.js';
import { languageOf } from '../language.js';
import type { Extension, Schema, Schemas } from '../schema.js';
import { guardModifier, guardObserver } from './guard.js';
import { failed, importFile, messageOf, readSource, type ModuleFs, type SourceFile } from './module.js';

/** A file with modifiers or observers of a user's own. */
export interface Plugin {
  /** As the recipe names it. */
  readonly named: string;
  readonly modifiers: readonly Modifier[];
  readonly observers: readonly Observer[];
  /** Its own first, then those that it imports by a relative path, and its schemas. */
  readonly files: readonly PluginFile[];
}

export interface PluginFile extends SourceFile {
  /** As messages and records call it: relative to the recipe. */
  readonly named: string;
}

/** The plugins of a recipe, and what they add to its language. */
export interface Plugins extends Required<Extension> {
  readonly list: readonly Plugin[];
}

/** All their observers, for `weightObserver` and `valueObserver`. */
export function observersOf({ list }: Plugins): Observer[] {
  return list.flatMap(({ observers }) => observers);
}

export const NO_PLUGINS: Plugins = { list: [], modifiers: {}, observers: {} };

/**
 * Loads plugins: this runs their code.
 * @param paths as the recipe names them, relative to `folder`
 * @throws TensorpressError PLUGIN, naming the file and what is wrong with it
 */
export async function loadPlugins(
  paths: readonly string[],
  folder: string,
  { fs = promises }: { fs?: ModuleFs } = {},
): Promise<Plugins> {
  const list: Plugin[] = [];
  const modifiers: Record<string, Schema> = {};
  const observers: Record<string, readonly string[]> = {};
  const owners = new Map<string, string>();
  for (const named of paths) {
    const path = resolve(folder, named);
    const found = await loadPlugin(named, path, fs);
    for (const name of [...Object.keys(found.schemas), ...found.plugin.observers.flatMap(({ names }) => names)]) {
      const owner = owners.get(name);
      if (owner !== undefined) throw taken(path, name, `${owner} has it already`);
      owners.set(name, named);
    }
    list.push(found.plugin);
    Object.assign(modifiers, found.schemas);
    for (const { names, kwargs = [] } of found.plugin.observers) for (const name of names) observers[name] = kwargs;
  }
  return list.length === 0 ? NO_PLUGINS : { list, modifiers, observers };
}

async function loadPlugin(named: string, path: string, fs: ModuleFs): Promise<{ plugin: Plugin; schemas: Schemas }> {
  const { exports, files: code } = await importFile(path, { fs });
  const members = membersOf(exports, path);
  const files = [...code];
  const modifiers: Modifier[] = [];
  const observers: Observer[] = [];
  const schemas: Record<string, Schema> = {};
  for (const member of members) {
    if (isObserver(member)) {
      checkNames(member, path);
      observers.push(guardObserver(member, path));
      continue;
    }
    const { type } = member;
    if (!/^[A-Za-z]\w*$/.test(type)) {
      throw failed(path, `calls a modifier "${type}"`, { hint: 'a name is letters and digits: ClipOutliersModifier' });
    }
    if (languageOf().types.includes(type)) throw taken(path, type, 'it is one of tensorpress');
    if (Object.hasOwn(schemas, type)) throw taken(path, type, 'another modifier of the file has it');
    const { schema, file } = await schemaOf(member, path, fs);
    if (file !== undefined && !files.some(known => known.path === file.path)) files.push(file);
    schemas[type] = schema;
    modifiers.push(guardModifier(member, path));
  }
  const called = (file: SourceFile): PluginFile => {
    const beside = join(dirname(named), relative(dirname(path), file.path))
      .split(sep)
      .join('/');
    const prefix = named.startsWith('./') && !beside.startsWith('.') ? './' : '';
    return { ...file, named: file.path === path ? named : prefix + beside };
  };
  return { plugin: { named, modifiers, observers, files: files.map(called) }, schemas };
}

/** Everything in a module that is a modifier or an observer; all that it exports by default has to be. */
function membersOf(exports: Readonly<Record<string, unknown>>, path: string): (Modifier | Observer)[] {
  const { default: byDefault = [], ...named } = exports;
  const hint = 'write: export default defineModifier({...}), or defineObserver({...})';
  for (const value of [byDefault].flat()) {
    if (isModifier(value) || isObserver(value)) continue;
    throw failed(path, `exports by default what is neither a modifier nor an observer${lacks(value)}`, { hint });
  }
  const all = [byDefault, ...Object.values(named)].flat();
  const members = [...new Set(all.filter(value => isModifier(value) || isObserver(value)))];
  if (members.length === 0) throw failed(path, 'exports no modifier and no observer', { hint });
  return members;
}

/** What is missing of that which it was probably meant to be. */
function lacks(value: unknown): string {
  if (typeof value !== 'object' || value === null) return '';
  const [name, fields] =
    'names' in value ? ['an observer', ['names']] : ['a modifier', ['type', 'schema', 'plan', 'edit']];
  const missing = fields.filter(field => !(field in value));
  if ('names' in value) return `: ${name} has names, and weightRange or values`;
  return missing.length > 0 && missing.length < fields.length ? `: ${name} has ${missing.join(' and ')} too` : '';
}

function isModifier(value: unknown): value is Modifier {
  if (typeof value !== 'object' || value === null) return false;
  const { type, plan, edit, schema } = value as Record<string, unknown>;
  const hasSchema = typeof schema === 'string' || (typeof schema === 'object' && schema !== null);
  return typeof type === 'string' && hasSchema && typeof plan === 'function' && typeof edit === 'function';
}

function isObserver(value: unknown): value is Observer {
  if (typeof value !== 'object' || value === null) return false;
  const { names, weightRange, values } = value as Record<string, unknown>;
  const isList = Array.isArray(names) && names.length > 0 && names.every(name => typeof name === 'string');
  return isList && (typeof weightRange === 'function' || (typeof values === 'object' && values !== null));
}

function checkNames({ names, weighs }: Observer, path: string): void {
  if (weighs !== undefined) {
    throw failed(path, `asks for the importance of columns for its observer ${names[0]!}`, {
      hint: 'leave weighs out: only the observers of tensorpress are given it',
    });
  }
  for (const name of names) {
    if (observerName(name) !== undefined || isAlgorithmObserver(name))
      throw taken(path, name, 'it is one of tensorpress');
    if (!/^[a-z][a-z0-9_]*$/.test(name)) {
      throw failed(path, `calls an observer "${name}"`, {
        hint: 'a name is small letters, digits and _: trimmed_minmax',
      });
    }
  }
}

function taken(path: string, name: string, why: string): TensorpressError {
  return failed(path, `cannot have the name ${name}: ${why}`, { hint: 'give it another name' });
}

/** The schema of a modifier's options, from its file or as it stands in the modifier. */
async function schemaOf(
  { type, schema: given }: Modifier,
  path: string,
  fs: ModuleFs,
): Promise<{ schema: Schema; file?: SourceFile }> {
  if (typeof given !== 'string') return { schema: checkedSchema(given, type, path) };
  const at = join(dirname(path), given);
  const { text, file } = await readSource(at, fs).catch((cause: unknown) => {
    throw failed(path, `names the schema ${given}, which cannot be read`, {
      hint: `the path is relative to the plugin: ${at}`,
      cause,
    });
  });
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw failed(at, `is no JSON: ${messageOf(cause)}`, { cause });
  }
  return { schema: checkedSchema(schema, type, at), file };
}

/** @throws TensorpressError PLUGIN when it is no JSON Schema of a map */
function checkedSchema(given: unknown, type: string, path: string): Schema {
  const refuse = (what: string, cause?: unknown) =>
    failed(path, `has a schema of ${type} that is not valid: ${what}`, {
      hint: 'it is a JSON Schema (2020-12) of the options: {"type": "object", "properties": {...}}',
      ...(cause !== undefined && { cause }),
    });
  const schema = given as Schema | null;
  if (typeof schema !== 'object' || schema === null || schema.type !== 'object') {
    throw refuse('it describes no map, "type": "object"');
  }
  try {
    const { full } = languageOf({ modifiers: { [type]: schema } });
    const ajv = new Ajv2020({ strict: true, discriminator: true, logger: false });
    ajv.addVocabulary(['spelling']);
    ajv.compile({ $ref: `#/$defs/plugin.${type}`, $defs: full.$defs });
  } catch (cause) {
    throw cause instanceof TensorpressError ? cause : refuse(messageOf(cause), cause);
  }
  return schema;
}
