import { choices, quote, type Finding, type Report } from './findings.js';
import { mapNode, start, type Entry, type MapNode, type Node } from './nodes.js';
import type { At } from './source.js';
import { suggest } from '../schemes/suggest.js';

/** Fields of the native form, by which the two forms are told apart. */
const NATIVE_FIELDS = ['version', 'modifiers', 'calibration', 'outputs', 'evaluation', 'plugins', 'history'];

const STAGE = '_stage';
const GROUP = '_modifiers';

/**
 * Brings a document into native form: `version`, and `modifiers` as a list. The form of llm-compressor is a map of stages (`x_stage`) of groups
 * (`y_modifiers`) of modifiers, all in the order of the file; what it would skip in silence (a key without its suffix, a list where a map is
 * meant) is reported.
 *
 * @param types the names of all modifiers
 * @returns undefined when nothing can be made of the document
 */
export function toNative(root: Node, types: readonly string[], report: Report): MapNode | undefined {
  if (root.kind !== 'map') {
    const hint = 'begin it with "version: 1" and "modifiers:"';
    report({
      code: 'not-a-map',
      message: `a recipe is a map, not ${root.kind === 'list' ? 'a list' : 'a single value'}`,
      hint,
      at: start(root.at),
    });
    return undefined;
  }
  const keys = [...root.entries.keys()];
  const isStage = (key: string) => looksLikeStage(key, root.entries.get(key)!.value, types);
  if (!keys.some(isStage)) return native(root, types, report);

  const mixed = keys.find(key => NATIVE_FIELDS.includes(key));
  if (mixed !== undefined) {
    const stage = keys.find(isStage)!;
    const hint = 'use one form: either stages, or "version: 1" with a list of modifiers';
    report({
      code: 'mixed-forms',
      message: `${quote(mixed)} belongs to the native form, ${quote(stage)} to the form in stages`,
      hint,
      at: root.entries.get(mixed)!.key,
    });
  }
  const modifiers = keys.flatMap(key =>
    NATIVE_FIELDS.includes(key) ? [] : stage(key, root.entries.get(key)!, types, report),
  );
  const at = start(root.at);
  return mapNode(root.at, [
    ['version', { key: at, value: { kind: 'scalar', value: 1, at } }],
    [
      'modifiers',
      { key: root.entries.get(keys.find(isStage)!)!.key, value: { kind: 'list', items: modifiers, at: root.at } },
    ],
  ]);
}

/** A key with the suffix; or without it, but with something inside that only a stage has. */
function looksLikeStage(key: string, value: Node, types: readonly string[]): boolean {
  if (key.endsWith(STAGE)) return true;
  if (NATIVE_FIELDS.includes(key) || types.includes(key) || value.kind !== 'map') return false;
  const isType = (name: string) => types.includes(name) || suggest(name, types) !== undefined;
  return Array.from(value.entries).some(
    ([name, inner]) =>
      name.endsWith(GROUP) ||
      isType(name) ||
      (inner.value.kind === 'map' && [...inner.value.entries.keys()].some(isType)),
  );
}

function native(root: MapNode, types: readonly string[], report: Report): MapNode {
  const stray = [...root.entries].filter(([key]) => types.includes(key));
  if (stray.length === 0) return root;
  const [first, { key: at }] = stray[0]!;
  const hint = `write "version: 1", "modifiers:", and below it "  - ${first}: {...}"`;
  report({ code: 'stray-modifier', message: `${first} stands outside the list of modifiers`, hint, at });
  // so that its own errors are found too
  const items = stray.map(([name, entry]) => mapNode(entry.key, [[name, entry]]));
  const rest = [...root.entries].filter(([key]) => !types.includes(key) && key !== 'modifiers');
  const listed = root.entries.get('modifiers')?.value;
  const all: Node[] = [...(listed?.kind === 'list' ? listed.items : []), ...items];
  const version: [string, Entry] = ['version', { key: at, value: { kind: 'scalar', value: 1, at } }];
  return mapNode(root.at, [
    version,
    ...rest,
    ['modifiers', { key: at, value: { kind: 'list', items: all, at: root.at } }],
  ]);
}

function stage(name: string, { key, value }: Entry, types: readonly string[], report: Report): Node[] {
  if (name === 'args') {
    const empty = value.kind === 'map' ? value.entries.size === 0 : value.kind === 'scalar' && value.value === null;
    const hint = 'write the values where they are used, or use --set';
    if (!empty) report({ code: 'args', message: 'args have no effect: nothing is ever substituted', hint, at: key });
    return [];
  }
  if (!name.endsWith(STAGE)) report(suffixMissing('stage', name, key));
  if (value.kind !== 'map') {
    report(notAMap(quote(name), value, key, `a stage is a map of groups: "x${GROUP}:"`));
    return [];
  }
  if (value.entries.size === 0) report(empty(name, key));
  const groups = Array.from(value.entries);
  const stray = groups.filter(([group]) => types.includes(group) || /^[A-Z].*Modifier$/.test(group));
  if (stray.length > 0) {
    const hint = `put a group between them: "${name.replace(STAGE, '') || 'quant'}${GROUP}:", and the modifiers below it`;
    report({
      code: 'missing-group',
      message: `${stray[0]![0]} stands directly in the stage ${quote(name)}`,
      hint,
      at: stray[0]![1].key,
    });
  }
  return [
    ...stray.map(([type, entry]) => mapNode(entry.key, [[type, entry]])),
    ...groups.filter(entry => !stray.includes(entry)).flatMap(([group, entry]) => modifiersOf(group, entry, report)),
  ];
}

function modifiersOf(name: string, { key, value }: Entry, report: Report): Node[] {
  if (!name.endsWith(GROUP) && value.kind === 'scalar') {
    report({
      code: 'unknown-field',
      message: `unknown field ${quote(name)}`,
      hint: `a stage holds groups: "x${GROUP}:"`,
      at: key,
    });
    return [];
  }
  if (!name.endsWith(GROUP)) report(suffixMissing('group', name, key));
  if (value.kind === 'list') {
    report({
      code: 'list-for-map',
      message: `${quote(name)} is a list where a map is meant`,
      hint: 'write each modifier as "Class: {...}", without "- "',
      at: key,
    });
    return value.items.filter(item => item.kind === 'map');
  }
  if (value.kind !== 'map') {
    report(notAMap(quote(name), value, key, 'a group is a map of modifiers: "Class: {...}"'));
    return [];
  }
  if (value.entries.size === 0) report(empty(name, key));
  return Array.from(value.entries, ([type, entry]) => mapNode(entry.key, [[type, entry]]));
}

function suffixMissing(what: 'stage' | 'group', name: string, at: At): Finding {
  const [suffix, spelling] = what === 'stage' ? [STAGE, /[_-]?stag[a-z]*$/i] : [GROUP, /[_-]?modif[a-z]*$/i];
  const better = `${name.replace(spelling, '') || 'quant'}${suffix}`;
  return {
    code: `no-${what}-suffix`,
    message: `the name of a ${what} ends in ${suffix}, ${quote(name)} does not`,
    hint: choices(better),
    at,
  };
}

function notAMap(name: string, value: Node, at: At, hint: string) {
  if (value.kind === 'list')
    return { code: 'list-for-map', message: `${name} is a list where a map is meant`, hint, at };
  if (value.kind === 'scalar' && value.value !== null)
    return { code: 'not-a-map', message: `${name} is a single value where a map is meant`, hint, at };
  return { code: 'empty', message: `${name} is empty`, hint, at };
}

function empty(name: string, at: At) {
  return { code: 'empty', message: `${quote(name)} is empty`, hint: 'give it a modifier, or remove it', at };
}
