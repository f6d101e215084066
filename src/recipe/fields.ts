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
  const { fields } = follow(path, schema);
  const [first, type, ...inner] = fields;
  if (first !== 'modifiers') return fields.join('.') || 'the recipe';
  return inner.join('.') || type || first;
}

/** The schema of the value that a path leads to. */
export function schemaAt(path: Path, schema: Schema): Schema | undefined {
  const { found } = follow(path, schema);
  return found && resolve(found, schema);
}

/** Follows a path through a schema: the steps that are fields of it (not names that users choose), and the schema at the end. */
function follow(path: Path, root: Schema): { fields: string[]; found: Schema | undefined } {
  const fields: string[] = [];
  let found: Schema | undefined = root;
  for (const step of path) {
    const here: Schema = found === undefined ? {} : resolve(found, root);
    const { properties = {}, items, additionalProperties } = here;
    if (typeof step === 'string' && Object.hasOwn(properties, step)) {
      fields.push(step);
      found = properties[step];
    } else {
      const rest = typeof step === 'number' ? items : additionalProperties;
      found = typeof rest === 'object' ? rest : undefined;
    }
  }
  return { fields, found };
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
