import { resolve, type Schema } from './schema.js';

type Spelling = Exclude<Schema['spelling'], undefined | 'ignored'>;

/** From the spellings that are accepted to the normal one; a value that none of them explains stays as it is, for validation to report. */
const SPELLINGS: Record<Spelling, (value: unknown, normal: Schema) => unknown> = {
  /** `Linear` for `[Linear]` */
  list: value => (typeof value === 'string' ? [value] : value),
  /** `INT` for `int` */
  case: (value, { enum: names }) => find(value, names, (text, name) => text.toLowerCase() === name.toLowerCase()),
  /** `float8_e4m3fn` for `torch.float8_e4m3fn` */
  dtype: (value, { enum: names }) => find(value, names, (text, name) => `torch.${text}` === name),
  /** `128x128` for `[128, 128]` */
  block: value => {
    const sizes = typeof value === 'string' ? /^\s*(\d+)\s*x\s*(\d+)\s*$/i.exec(value) : null;
    return sizes === null ? value : [Number(sizes[1]), Number(sizes[2])];
  },
  /** Booleans are the oldest form: true is `group`, false is none. */
  actorder: (value, normal) => (value === true ? 'group' : value === false ? null : SPELLINGS.case(value, normal)),
};

function find(value: unknown, names: readonly unknown[] = [], same: (text: string, name: string) => boolean): unknown {
  if (typeof value !== 'string') return value;
  return names.find(name => typeof name === 'string' && same(value, name)) ?? value;
}

/**
 * A value in normal form: one spelling for everything, the fields in the order of the schema, fields without effect dropped. A field that is
 * null says the same as a field that is absent and is dropped too, except where the default is something else (`actorder` of GPTQ).
 * Defaults are not filled in. What the schema does not know stays as it is.
 *
 * @param full the bundle that `schema` is part of
 */
export function normalForm(value: unknown, schema: Schema, full: Schema): unknown {
  const resolved = resolve(schema, full);
  const { spelling, anyOf } = resolved;
  if (spelling !== undefined && spelling !== 'ignored' && anyOf !== undefined) {
    const normal = resolve(anyOf[0]!, full);
    return members(SPELLINGS[spelling](value, normal), normal, full);
  }
  const alternatives = anyOf ?? resolved.oneOf;
  if (alternatives === undefined) return members(value, resolved, full);
  const chosen = alternativeFor(value, alternatives, full);
  return chosen === undefined ? value : normalForm(value, chosen, full);
}

function members(value: unknown, schema: Schema, full: Schema): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown, i) => {
      const each = schema.prefixItems?.[i] ?? schema.items;
      return typeof each === 'object' ? normalForm(item, each, full) : item;
    });
  }
  if (typeof value !== 'object' || value === null) return value;

  const given = value as Record<string, unknown>;
  const known = schema.properties ?? {};
  const names = [
    ...Object.keys(known).filter(name => Object.hasOwn(given, name)),
    ...Object.keys(given).filter(name => !Object.hasOwn(known, name)),
  ];
  return Object.fromEntries(
    names.flatMap((name): [string, unknown][] => {
      const open = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
      const field = Object.hasOwn(known, name) ? resolve(known[name]!, full) : open;
      if (field === undefined) return [[name, given[name]]];
      const normal = normalForm(given[name], field, full);
      const silent =
        field.spelling === 'ignored' ||
        (normal === null && field !== open && allowsNull(field, full) && field.default == null);
      return silent ? [] : [[name, normal]];
    }),
  );
}

/** The alternative that a value is meant for: of its type, and with the same constants (`format: gguf`). */
export function alternativeFor(value: unknown, alternatives: readonly Schema[], full: Schema): Schema | undefined {
  return alternatives.find(alternative => {
    const schema = resolve(alternative, full);
    if (schema.anyOf !== undefined) return alternativeFor(value, schema.anyOf, full) !== undefined;
    if (!hasType(value, schema)) return false;
    return Object.entries(schema.properties ?? {}).every(
      ([name, { const: constant }]) => constant === undefined || (value as Record<string, unknown>)[name] === constant,
    );
  });
}

function hasType(value: unknown, { type = [] }: Schema): boolean {
  return [type].flat().some(name => name === typeOf(value) || (name === 'integer' && typeof value === 'number'));
}

/** The JSON type of a value. */
function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

function allowsNull(schema: Schema, full: Schema): boolean {
  const { type = [], anyOf = [] } = resolve(schema, full);
  return [type].flat().includes('null') || anyOf.some(alternative => allowsNull(alternative, full));
}
