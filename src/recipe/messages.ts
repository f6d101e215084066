import type { ErrorObject } from 'ajv';
import { fieldName, home, homesOf, schemaAt, subject } from './fields.js';
import { choices, quote, show } from './findings.js';
import type { Path } from './nodes.js';
import { inline } from './print.js';
import { resolve, type Schema } from './schema.js';
import { suggest } from '../schemes/suggest.js';

/** What a schema error says to a person, and whether the key or the value is to blame. */
export interface Message {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly path: Path;
  readonly about: 'key' | 'value';
}

const TYPES: Record<string, string> = {
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  string: 'text',
  array: 'a list',
  object: 'a map',
};

/** The sentence for one error of ajv (with `verbose`), given the path of its instance. */
export function explain(error: ErrorObject, path: Path, schema: Schema): Message {
  const parent = error.parentSchema as Schema;
  const params = error.params as Record<string, unknown>;
  const { data: value, keyword } = error;
  const name = subject(path);
  const say = (code: string, message: string, hint?: string): Message => ({
    code,
    message,
    hint,
    path,
    about: 'value',
  });

  switch (keyword) {
    case 'additionalProperties':
      return unknownField(String(params['additionalProperty']), parent, path, schema);
    case 'required':
      return missingField(String(params['missingProperty']), parent, path, schema);
    case 'type':
      return typeError(value, parent, [parent.type ?? []].flat(), path, schema);
    case 'anyOf':
      return unionError(value, parent, path, schema);
    case 'enum':
      return unknownValue(value, parent.enum!, path);
    case 'propertyNames': {
      const key = String(params['propertyName']);
      return { ...unknownValue(key, texts(error.schema as Schema, schema), path), path: [...path, key], about: 'key' };
    }
    case 'discriminator': {
      const all = parent.oneOf!.map(alternative => resolve(alternative, schema).properties!['format']!.const);
      if (params['tagValue'] !== undefined) return unknownValue(params['tagValue'], all, [...path, 'format']);
      const missing = say('missing-field', `${name} needs "format"`, choices(undefined, all.map(String)));
      return { ...missing, path: [...path, 'format'], about: 'key' };
    }
    case 'const':
      return say('unknown-value', `${name} must be ${show(parent.const)}, not ${show(value)}`, parent.description);
    case 'pattern':
      return say('malformed', `${name} ${show(value)} is not well formed`, example(parent, path, schema));
    case 'minLength':
      return say('empty', `${name} is empty`);
    case 'minProperties':
      return say('empty', `${name} is empty`, example(parent, path, schema));
    case 'minItems':
    case 'maxItems':
    case 'items': {
      const empty = (value as unknown[]).length === 0;
      return say(
        'wrong-length',
        empty ? `${name} is empty` : `${name} has the wrong number of items`,
        example(parent, path, schema),
      );
    }
    case 'uniqueItems': {
      const index = Number(params['i']);
      return { ...say('repeated', `${name} holds ${show((value as unknown[])[index])} twice`), path: [...path, index] };
    }
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return say('out-of-range', `${name} must be ${range(parent)}, not ${show(value)}`);
    default:
      return say('invalid', `${name} ${error.message ?? 'is not valid'}`);
  }
}

/** A key that the schema does not know: the nearest one that it does, else where such a key belongs, else all keys of this place. */
function unknownField(field: string, parent: Schema, path: Path, schema: Schema): Message {
  const known = Object.keys(parent.properties ?? {});
  const near = suggest(field, known);
  const here = home(path, schema);
  const elsewhere = homesOf(field, schema).slice(0, 3).join(', ');
  const hint =
    near !== undefined
      ? `a field of ${here}; did you mean "${near}"?`
      : elsewhere !== ''
        ? `"${field}" is a field of ${elsewhere}, not of ${here}`
        : `the fields of ${here} are ${known.join(', ')}`;
  return {
    code: 'unknown-field',
    message: `unknown field ${quote(field)}`,
    hint,
    path: [...path, field],
    about: 'key',
  };
}

function missingField(field: string, parent: Schema, path: Path, schema: Schema): Message {
  const say = (message: string, hint?: string): Message => ({
    code: 'missing-field',
    message,
    hint,
    // what is missing has no place: its map is shown
    path: [...path, field],
    about: 'key',
  });
  if (path.length === 0 && field === 'version')
    return say('the recipe does not say its version', 'begin it with "version: 1"');
  const about = parent.properties?.[field];
  const owner = typeof path.at(-1) === 'number' ? subject(path) : home(path, schema);
  return say(`${owner} needs "${field}"`, about && resolve(about, schema).description);
}

function unknownValue(value: unknown, all: readonly unknown[], path: Path): Message {
  const names = all.filter(name => name !== null).map(String);
  const hint = choices(suggest(String(value), names), names);
  return {
    code: 'unknown-value',
    message: `${fieldName(path)} ${show(value)} does not exist`,
    hint,
    path,
    about: 'value',
  };
}

function typeError(value: unknown, parent: Schema, types: readonly string[], path: Path, schema: Schema): Message {
  const expected = types
    .filter(type => type !== 'null')
    .map(type => TYPES[type] ?? type)
    .join(' or ');
  const name = subject(path);
  if (value === null)
    return { code: 'empty', message: `${name} is empty`, hint: `it must be ${expected}`, path, about: 'key' };
  const hint = correction(value, types) ?? example(parent, path, schema);
  return { code: 'wrong-type', message: `${name} must be ${expected}, not ${show(value)}`, hint, path, about: 'value' };
}

/** How the value that was meant is written. */
function correction(value: unknown, types: readonly string[]): string | undefined {
  const [type] = types;
  if (typeof value === 'string') {
    const word = /^(yes|on|y)$/i.test(value) ? 'true' : /^(no|off|n)$/i.test(value) ? 'false' : undefined;
    if (types.includes('boolean') && word !== undefined) return `YAML 1.2 knows only true and false: write ${word}`;
    if (types.includes('boolean') && /^(true|false)$/i.test(value))
      return `write ${value.toLowerCase()} without quotes`;
    const isNumber = value.trim() !== '' && Number.isFinite(Number(value));
    if (isNumber && (type === 'integer' || type === 'number')) return `write ${value.trim()} without quotes`;
  }
  if (type === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `put it in quotes: "${value}"`;
  if (type === 'array' && typeof value === 'object') return 'put "- " before each item';
  if (type === 'object' && Array.isArray(value)) return 'write "name: value", without "- "';
  return undefined;
}

/** A value that fits none of the alternatives of its field. */
function unionError(value: unknown, parent: Schema, path: Path, schema: Schema): Message {
  const types = parent.anyOf!.flatMap(alternative => typesOf(alternative, schema));
  const names = texts(parent, schema);
  if (names.length === 0 || (typeof value !== 'string' && typeof value !== 'number')) {
    return typeError(value, parent, [...new Set(types)], path, schema);
  }
  const all = [...(types.includes('boolean') ? ['true', 'false'] : []), ...names];
  const found = unknownValue(value, all, path);
  return {
    ...found,
    hint:
      correction(
        value,
        types.filter(type => type === 'boolean'),
      ) ?? found.hint,
  };
}

function typesOf(schema: Schema, root: Schema): readonly string[] {
  const { type, anyOf = [] } = resolve(schema, root);
  return type === undefined ? anyOf.flatMap(alternative => typesOf(alternative, root)) : [type].flat();
}

/** The texts that a schema names. */
function texts(schema: Schema, root: Schema): string[] {
  const { enum: names, const: name, anyOf = [] } = resolve(schema, root);
  const own = [...(names ?? []), name].filter(value => typeof value === 'string');
  return [...own, ...anyOf.flatMap(alternative => texts(alternative, root))];
}

function range({ minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return `from ${minimum} to ${maximum}`;
  const low = minimum !== undefined ? `at least ${minimum}` : above !== undefined ? `above ${above}` : undefined;
  const high = maximum !== undefined ? `at most ${maximum}` : below !== undefined ? `below ${below}` : undefined;
  return [low, high].filter(part => part !== undefined).join(' and ');
}

/** The example of the failing schema, or of the field that it belongs to. */
function example({ examples: [own] = [] }: Schema, path: Path, schema: Schema): string | undefined {
  const value = own ?? schemaAt(path, schema)?.examples?.[0];
  return value === undefined ? undefined : `for example ${inline(value)}`;
}
