/** A number as a file spells it: to Python, and so to transformers, 30.0 is a float and 30 is none. */
export class NumberLiteral {
  constructor(readonly text: string) {}
}

/**
 * JSON as transformers writes config.json: keys sorted at every level, two spaces, Python's names for what is not finite, no newline at the
 * end. Members that are undefined are left out.
 */
export function sortedJson(value: unknown, indent = ''): string {
  if (value instanceof NumberLiteral) return value.text;
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map(item => sortedJson(item, inner))
    : Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, member]) => `${JSON.stringify(key)}: ${sortedJson(member, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return lines.length === 0
    ? `${open}${close}`
    : `${open}\n${lines.map(line => inner + line).join(',\n')}\n${indent}${close}`;
}
