import { choices, quote, type Report } from './findings.js';
import { mapNode, type ListNode, type MapNode, type Node } from './nodes.js';
import type { At } from './source.js';
import { suggest } from '../schemes/suggest.js';

/**
 * Checks the list of modifiers of the native form: one key per item, a known class, a map of options. What is wrong is reported and left out,
 * so that the schema has only sound modifiers to look at.
 *
 * @param types the names of all modifiers
 */
export function checkModifiers(native: MapNode, types: readonly string[], report: Report): MapNode {
  const entry = native.entries.get('modifiers');
  if (entry === undefined) return native;
  const { key, value } = entry;
  const fail = (code: string, message: string, hint: string) => {
    report({ code, message, hint, at: key });
    return withModifiers(native, { kind: 'list', items: [], at: value.at });
  };
  if (value.kind === 'map')
    return fail('map-for-list', 'modifiers is a map where a list is meant', 'put "- " before each modifier');
  if (value.kind === 'scalar')
    return fail('empty', 'modifiers is not a list', 'write each modifier below it: "  - Class: {...}"');
  const items = value.items.filter(item => isSound(item, types, report));
  return withModifiers(native, { kind: 'list', items, at: value.at });
}

/** Whether a recipe would neither change nor write anything. */
export function isIdle(native: MapNode): boolean {
  const isEmpty = (field: string) => {
    const value = native.entries.get(field)?.value;
    return value?.kind !== 'list' || value.items.length === 0;
  };
  return native.entries.has('modifiers') && isEmpty('modifiers') && isEmpty('outputs');
}

function withModifiers(native: MapNode, value: ListNode): MapNode {
  const { key } = native.entries.get('modifiers')!;
  return mapNode(native.at, [...native.entries, ['modifiers', { key, value }]]);
}

function isSound(item: Node, types: readonly string[], report: Report): boolean {
  if (item.kind !== 'map') {
    const name = item.kind === 'scalar' && typeof item.value === 'string' ? item.value : 'Class';
    report({
      code: 'not-a-map',
      message: 'a modifier is a map with one key, its class',
      hint: `write "- ${name}: {...}"`,
      at: item.at,
    });
    return false;
  }
  const entries = [...item.entries];
  const [first, second] = entries;
  if (first === undefined) {
    report({ code: 'empty', message: 'a modifier without a class', hint: 'write "- Class: {...}"', at: item.at });
    return false;
  }
  if (second !== undefined) {
    const hint = types.includes(second[0])
      ? `begin a new item: "- ${second[0]}:"`
      : `indent it further: options stand below ${first[0]}`;
    report({
      code: 'several-keys',
      message: `an item of modifiers has one key, the class; here ${quote(second[0])} follows ${quote(first[0])}`,
      hint,
      at: second[1].key,
    });
    return false;
  }
  return entries.every(
    ([type, { key, value }]) => isKnown(type, key, types, report) && hasBody(type, value, key, report),
  );
}

function isKnown(type: string, at: At, types: readonly string[], report: Report): boolean {
  if (types.includes(type)) return true;
  report({
    code: 'unknown-modifier',
    message: `modifier ${quote(type)} does not exist`,
    hint: choices(suggest(type, types), types),
    at,
  });
  return false;
}

function hasBody(type: string, value: Node, at: At, report: Report): boolean {
  if (value.kind === 'map') return true;
  const what =
    value.kind === 'list'
      ? 'has a list where a map of options is meant'
      : value.value === null
        ? 'has no options'
        : 'has a single value where a map of options is meant';
  const hint =
    value.kind === 'list'
      ? 'write "option: value", without "- "'
      : `write its options below it, or "${type}: {}" if it needs none`;
  report({
    code: value.kind === 'list' ? 'list-for-map' : value.value === null ? 'null-body' : 'not-a-map',
    message: `${type} ${what}`,
    hint,
    at,
  });
  return false;
}
