import type { ErrorObject } from 'ajv';
import type { Report } from './findings.js';
import type { Language } from './language.js';
import { explain } from './messages.js';
import { locate, type Node, type Path } from './nodes.js';
import { resolve, type Schema } from './schema.js';
import { join } from './source.js';
import { alternativeFor } from './spelling.js';

/**
 * Checks a value in normal form against the schema of the normal form. Every error becomes one finding, placed where its value or key is
 * written; the errors of union branches that the value was not meant for are left out.
 *
 * @param types the modifiers that the value uses
 * @param node the same value as it is written
 * @returns the paths that have an error
 */
export function checkSchema(
  value: unknown,
  language: Language,
  types: Iterable<string>,
  node: Node,
  report: Report,
): Path[] {
  const validate = language.validator(types);
  if (validate(value)) return [];
  const { normal } = language;
  const messages = causes(validate.errors ?? [], normal).map(error =>
    explain(error, pathOf(error.instancePath, value), normal),
  );
  for (const { path, about, ...finding } of messages) {
    const { node: found, key } = locate(node, path);
    report({ ...finding, at: about === 'key' ? key : found.at });
  }
  return messages.map(({ path }) => path);
}

/** The errors that a person has to do something about. */
function causes(errors: readonly ErrorObject[], schema: Schema): ErrorObject[] {
  const byPlace = new Map<string, ErrorObject[]>();
  for (const error of errors) {
    const here = byPlace.get(error.instancePath);
    if (here === undefined) byPlace.set(error.instancePath, [error]);
    else here.push(error);
  }
  const noise = new Set<ErrorObject>();
  for (const here of byPlace.values()) {
    const unions = here.filter(({ keyword }) => keyword === 'anyOf');
    const wrongNames = here.some(({ keyword }) => keyword === 'propertyNames');
    const wrongTypes = new Set(here.filter(({ keyword }) => keyword === 'type').map(error => error.parentSchema));
    const tooShort = new Set(here.filter(({ keyword }) => keyword === 'minItems').map(error => error.parentSchema));
    for (const union of unions) dropBranches(union, here, schema, noise);
    for (const error of here) {
      const { keyword, parentSchema, data } = error;
      const repeats =
        (wrongTypes.has(parentSchema) && keyword !== 'type') ||
        (tooShort.has(parentSchema) && keyword === 'items') ||
        // what is wrong with a name is said by the error of the map
        (wrongNames && typeof data === 'string');
      if (repeats) noise.add(error);
    }
  }
  const wrongNames = new Set(errors.filter(({ keyword }) => keyword === 'propertyNames').map(memberPath));
  return errors.filter(error => !noise.has(error) && !ancestors(error.instancePath).some(path => wrongNames.has(path)));
}

/** Pointer of the member whose name is wrong: what is below it is not looked at. */
function memberPath({ instancePath, params }: ErrorObject): string {
  return join(instancePath, (params as { propertyName: string }).propertyName);
}

/** A JSON pointer and those that lead to it. */
function ancestors(pointer: string): string[] {
  const steps = pointer.split('/');
  return steps.map((_, i) => steps.slice(0, i + 1).join('/'));
}

/** Leaves one error of a union: its own when no branch was meant, else those of the branch that was. */
function dropBranches(union: ErrorObject, here: readonly ErrorObject[], schema: Schema, noise: Set<ErrorObject>): void {
  const alternatives = (union.parentSchema as Schema).anyOf!.map(alternative => resolved(alternative, schema));
  const chosen = alternativeFor(union.data, alternatives, schema);
  const meant = chosen === undefined || isChoice(chosen) ? undefined : chosen;
  const others = alternatives.filter(alternative => alternative !== meant);
  for (const error of here) if (error !== union && within(error, others, schema)) noise.add(error);
  if (meant !== undefined) noise.add(union);
}

/** A union of texts, whose own message lists them all. */
function isChoice(schema: Schema): boolean {
  return schema.const !== undefined || schema.anyOf !== undefined;
}

/** Whether an error comes from one of the branches of a union itself, not from inside its members. */
function within(error: ErrorObject, branches: readonly Schema[], schema: Schema): boolean {
  const nested = branches.flatMap(branch => [branch, ...(branch.anyOf ?? []).map(inner => resolved(inner, schema))]);
  return nested.some(branch => branch === error.parentSchema);
}

/** The definition that a plain reference leads to, as the very object that ajv reports. */
function resolved(schema: Schema, root: Schema): Schema {
  return schema.$ref === undefined
    ? schema
    : Object.keys(schema).length === 1
      ? definition(schema, root)
      : resolve(schema, root);
}

function definition({ $ref }: Schema, root: Schema): Schema {
  return root.$defs![$ref!.replace('#/$defs/', '')]!;
}

/** A JSON pointer as a path: numbers where it leads through lists. */
function pathOf(pointer: string, value: unknown): Path {
  let at = value;
  return pointer
    .split('/')
    .slice(1)
    .map(step => {
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
      const key = Array.isArray(at) ? Number(name) : name;
      at = (at as Record<string | number, unknown>)[key];
      return key;
    });
}
