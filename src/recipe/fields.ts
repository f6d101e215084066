import type { Path } from './nodes.js';
import { resolve, type Schema } from './schema.js';

/** What a path is called in a sentence: `targets`, or `item 2 of targets`. */
export function subject(path: Path): string {
  const last = path.at(-1);
  if (last === undefined) return 'the recipe';
  return typeof last === 'number' ? `item ${last + 1} of ${subject(path.slice(0, -1))}` : last;
}

/** The last name of a path. */
export function fieldName(path: Path): string {
  const name = path.findLast(step => typeof step === 'string');
  return name ?? 'the recipe';
}

/** Which map of the recipe a path leads to, without the names that users choose: `config_groups.weights`, `GPTQModifier`, `calibration`. */
export function home(path: Path, schema: Schema): string {
  const names = walk(path, schema).flatMap(({ step, own }) => (own ? [String(step)] : []));
  const [first, type, ...fields] = names;
  if (first !== 'modifiers') return names.join('.') || 'the recipe';
  return fields.join('.') || type || first;
}

/** The schema of the value that a path leads to. */
export function schemaAt(path: Path, schema: Schema): Schema | undefined {
  const last = walk(path, schema).at(-1);
  return last?.schema && resolve(last.schema, schema);
}

/** A path step by step: the schema of each, and whether it is a field of the schema or a name that the user chose. */
function walk(path: Path, root: Schema): { step: string | number; own: boolean; schema: Schema | undefined }[] {
  let at: Schema | undefined = root;
  return path.map(step => {
    const here: Schema | undefined = at && resolve(at, root);
    const { properties = {} } = here ?? {};
    const own = typeof step === 'string' && Object.hasOwn(properties, step);
    const rest: Schema | boolean | undefined = typeof step === 'number' ? here?.items : here?.additionalProperties;
    at = own ? properties[step] : typeof rest === 'object' ? rest : undefined;
    return { step, own, schema: at };
  });
}

const homes = new WeakMap<Schema, ReadonlyMap<string, readonly string[]>>();

/** The maps that have a field of this name. */
export function homesOf(field: string, schema: Schema): readonly string[] {
  const found = homes.get(schema) ?? findHomes(schema);
  homes.set(schema, found);
  return found.get(field) ?? [];
}

function findHomes(schema: Schema): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  const visit = (part: Schema, path: Path) => {
    const here = resolve(part, schema);
    for (const [name, field] of Object.entries(here.properties ?? {})) {
      const label = home(path, schema);
      const labels = found.get(name) ?? [];
      if (!labels.includes(label)) found.set(name, [...labels, label]);
      visit(field, [...path, name]);
    }
    for (const alternative of here.oneOf ?? []) visit(alternative, path);
    if (typeof here.items === 'object') visit(here.items, [...path, 0]);
    if (typeof here.additionalProperties === 'object') visit(here.additionalProperties, [...path, '']);
  };
  visit(schema, []);
  return found;
}
