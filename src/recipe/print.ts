import { Document, isCollection, isMap, isSeq, stringify, type Node, type Pair } from 'yaml';
import type { Recipe } from './recipe.js';

const WIDTH = 100;
const STYLE = { compat: 'yaml-1.1', lineWidth: 0, flowCollectionPadding: false, aliasDuplicateObjects: false } as const;

/**
 * A recipe as YAML: fields in the order in which they are given, short lists and maps on one line, everything quoted that YAML 1.2 or 1.1
 * would read as something else. Reading it gives the same recipe.
 */
export function printRecipe(recipe: Recipe): string {
  const document = new Document(recipe, STYLE);
  for (const { key, value } of pairs(document.contents)) {
    if (String(key) === 'modifiers' && isSeq(value)) {
      for (const item of value.items)
        for (const body of pairs(item)) layout(body.value, 6, 6 + String(body.key).length);
    } else {
      layout(value, 2, 2 + String(key).length);
    }
  }
  return document.toString(STYLE);
}

/** Puts a collection on one line if it fits there and is not deep; else goes on with its members. */
function layout(node: Node | null, indent: number, column: number): void {
  if (!isCollection(node)) return;
  const listsMaps = isSeq(node) && node.items.some(isMap);
  if (depth(node) <= 2 && !listsMaps && column + 2 + inline(node).length <= WIDTH) {
    node.flow = true;
  } else if (isSeq(node)) {
    for (const item of node.items) layout(item as Node, indent + 2, indent + 2);
  } else {
    for (const { key, value } of pairs(node)) layout(value, indent + 2, indent + 2 + String(key).length);
  }
}

/** A value on one line, as it can stand inside a recipe. */
export function inline(node: unknown): string {
  return stringify(node, { ...STYLE, collectionStyle: 'flow' }).trimEnd();
}

function pairs(node: unknown): Pair<unknown, Node>[] {
  return isMap(node) ? (node.items as Pair<unknown, Node>[]) : [];
}

function depth(node: Node | null): number {
  if (isSeq(node)) return 1 + Math.max(0, ...node.items.map(item => depth(item as Node)));
  if (isMap(node)) return 1 + Math.max(0, ...pairs(node).map(({ value }) => depth(value)));
  return 0;
}
