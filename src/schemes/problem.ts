/** One thing that is wrong with a value, placed inside it: `['weights', 'num_bits']`. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** The way out. */
  readonly hint?: string;
  /** What could have been meant, for a did-you-mean against the value at `path` (or its last key). */
  readonly candidates?: readonly string[];
}

/** `problems` as seen from a value that holds the checked one under `key`. */
export function under(key: string | number, problems: readonly Problem[]): Problem[] {
  return problems.map(problem => ({ ...problem, path: [key, ...problem.path] }));
}

/** True for maps as YAML and JSON give them. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as a user would write it, cut to what fits a message; lists and maps by their kind. */
export function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a map';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** `a, b or c` */
export function oneOf(values: readonly (string | number)[]): string {
  return values.length < 2 ? values.join() : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}
