import type { At, Source } from './source.js';

/** A value of a recipe together with where it is written. An aliased or merged value stands where its anchor does. */
export type Node = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly at: At;
}

export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly Node[];
  readonly at: At;
}

export interface MapNode {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, Entry>;
  readonly at: At;
}

export interface Entry {
  /** Where the key is written. */
  readonly key: At;
  readonly value: Node;
}

export type Path = readonly (string | number)[];

/** The plain value. */
export function toJs(node: Node): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(toJs);
    case 'map':
      return Object.fromEntries(Array.from(node.entries, ([key, { value }]) => [key, toJs(value)]));
  }
}

export interface Located {
  /** The node, or the nearest ancestor that the text has. */
  readonly node: Node;
  /** Where its key is written; its own place where it has no key. */
  readonly key: At;
  /** Whether the path leads to it, not only to its ancestor. */
  readonly exact: boolean;
}

/** Follows a path as far as the text does. */
export function locate(root: Node, path: Path): Located {
  let found: Located = { node: root, key: start(root.at), exact: true };
  for (const step of path) {
    const next = child(found.node, step);
    if (next === undefined) return { ...found, exact: false };
    found = next;
  }
  return found;
}

function child(node: Node, step: string | number): Located | undefined {
  if (node.kind === 'list') {
    const item = node.items[Number(step)];
    return item && { node: item, key: item.at, exact: true };
  }
  if (node.kind === 'map') {
    const entry = node.entries.get(String(step));
    return entry && { node: entry.value, key: entry.key, exact: true };
  }
  return undefined;
}

/** The first character of a range: what concerns a whole document is shown at its start. */
export function start(at: At): At {
  return { ...at, to: at.from + 1 };
}

/** A map that was not written as such, at the place of what it stands for. */
export function mapNode(at: At, entries: Iterable<readonly [string, Entry]>): MapNode {
  return { kind: 'map', entries: new Map(entries), at };
}

/** The whole of a source. */
export function wholeOf(source: Source): At {
  return { source, from: 0, to: source.text.length, pointer: '' };
}
