import { isRecord, oneOf, show, type Problem } from './problem.js';

/** How one field of a map is read: `read` gives its value, or undefined when it is not what is expected. */
export interface Field<T> {
  /** The value where the field is absent. */
  readonly absent: T;
  /** What is expected, in words. */
  readonly expected: string;
  readonly candidates?: readonly string[];
  read(this: void, value: unknown): T | undefined;
}

/** What `readFields` found; a field whose value is wrong is missing. */
export type Values<F> = { [K in keyof F]?: F[K] extends Field<infer T> ? T : never };

/** Reads every field of a map. Whatever is wrong with one of them, and every unknown key, is added to `problems`. */
export function readFields<F extends Record<string, Field<unknown>>>(
  input: Record<string, unknown>,
  fields: F,
  problems: Problem[],
): Values<F> {
  const known = Object.keys(fields);
  for (const key of Object.keys(input)) {
    if (!known.includes(key)) problems.push({ path: [key], message: `there is no field ${key}`, candidates: known });
  }
  const values: Record<string, unknown> = {};
  for (const [key, { absent, expected, candidates, read }] of Object.entries(fields)) {
    const given = Object.hasOwn(input, key) ? input[key] : undefined;
    const value = given === undefined ? absent : read(given);
    if (value !== undefined) values[key] = value;
    else
      problems.push({
        path: [key],
        message: `${key} must be ${expected}, not ${show(given)}`,
        ...(candidates && { candidates }),
      });
  }
  return values as Values<F>;
}

/** A field with any test. */
export function field<T>(absent: T, expected: string, read: (value: unknown) => T | undefined): Field<T> {
  return { absent, expected, read };
}

/** A field that may also be null, and is null when absent. */
export function orNull<T>(inner: Field<T>): Field<T | null> {
  return { ...inner, absent: null, read: value => (value === null ? null : inner.read(value)) };
}

/** One of `names`, in any case. */
export function nameField<N extends string>(absent: N, names: readonly N[]): Field<N> {
  const read = (value: unknown): N | undefined =>
    typeof value === 'string' ? names.find(name => name === value.toLowerCase()) : undefined;
  return { absent, expected: oneOf(names), candidates: names, read };
}

/** True or false. */
export const flag = (absent: boolean): Field<boolean> =>
  field(absent, 'true or false', value => (typeof value === 'boolean' ? value : undefined));

/** A whole number, `atLeast` or more. */
export const wholeNumber = (absent: number, atLeast = -Infinity, expected = 'a whole number'): Field<number> =>
  field(absent, expected, value =>
    Number.isInteger(value) && (value as number) >= atLeast ? (value as number) : undefined,
  );

/** A map; null counts as an empty one. */
export const map: Field<Record<string, unknown>> = field({}, 'a map', value =>
  value === null ? {} : isRecord(value) ? value : undefined,
);
