import { choices, quote, type Finding, type Report } from './findings.js';
import { mapNode, type MapNode, type Node } from './nodes.js';
import { join, Source, type At } from './source.js';
import { suggest } from '../schemes/suggest.js';
import { parseYaml } from './yaml.js';

/** A step of a path: a name or an index, and where it is written. */
interface Step {
  readonly name: string;
  readonly at: At;
}

/**
 * Applies `PATH=VALUE` arguments to a recipe in native form, one after the other. PATH has dots between names and list indexes
 * (`modifiers.0.GPTQModifier.block_size`; a name with dots in it stands in double quotes), VALUE is YAML. What does not exist yet is made:
 * maps by their names, a list by index 0 or by the index after its last item. Errors are placed in the file `--set`, whose lines are the
 * arguments.
 */
export function applyOverrides(native: MapNode, overrides: readonly string[], report: Report): MapNode {
  const source = new Source('--set', overrides.join('\n'), { separateLines: true });
  let result: Node = native;
  let from = 0;
  for (const argument of overrides) {
    result = apply(result, source, from, argument, report);
    from += argument.length + 1;
  }
  return result as MapNode;
}

function apply(root: Node, source: Source, from: number, argument: string, report: Report): Node {
  const path = /^(?:"[^"]*"|[^"=])*/.exec(argument)![0];
  const at = (start: number, end: number, pointer: string): At => ({
    source,
    from: from + start,
    to: from + end,
    pointer,
  });
  if (argument[path.length] !== '=' || path === '') {
    const hint = 'for example modifiers.0.GPTQModifier.block_size=64';
    report({ code: 'override', message: 'an override is PATH=VALUE', hint, at: at(0, argument.length, '') });
    return root;
  }
  const steps: Step[] = [];
  let pointer = '';
  for (const { 0: text, index } of path.matchAll(/"[^"]*"|[^."]+/g)) {
    const name = text.replace(/^"(.*)"$/s, '$1').trim();
    pointer = join(pointer, name);
    steps.push({ name, at: at(index, index + text.length, pointer) });
  }
  const end = from + argument.length;
  const start = from + path.length + 1;
  const findings: Finding[] = [];
  const value = parseYaml(source, finding => findings.push(finding), { from: start, to: end, pointer });
  findings.forEach(report);
  if (findings.length > 0) return root;
  const empty: Node = { kind: 'scalar', value: null, at: { source, from: start, to: end, pointer } };
  return assign(root, steps, value ?? empty, report);
}

/** The node with the value at the end of the steps; the node itself when they do not fit. */
function assign(node: Node | undefined, [step, ...rest]: readonly Step[], value: Node, report: Report): Node {
  if (step === undefined) return value;
  const { name, at } = step;
  const index = /^\d+$/.test(name) ? Number(name) : undefined;
  if (name === '__proto__') return refuse(node, value, report, at, '"__proto__" cannot be a key');

  if (node === undefined || (node.kind === 'scalar' && node.value === null)) {
    const made = assign(undefined, rest, value, report);
    return index === 0 ? { kind: 'list', items: [made], at } : mapNode(at, [[name, { key: at, value: made }]]);
  }
  if (node.kind === 'map') {
    const wrongClass = otherClass(node, name);
    if (wrongClass !== undefined)
      return refuse(
        node,
        value,
        report,
        at,
        `${quote(name)} is not there, the modifier is ${wrongClass}`,
        choices(wrongClass),
      );
    const entry = node.entries.get(name);
    const inner = assign(entry?.value, rest, value, report);
    return mapNode(node.at, [...node.entries, [name, { key: at, value: inner }]]);
  }
  // a single text may stand for a list of one
  const items =
    node.kind === 'list' ? node.items : typeof node.value === 'string' && index !== undefined ? [node] : undefined;
  if (items === undefined) return refuse(node, value, report, at, `${quote(name)} is looked for inside a single value`);
  if (index === undefined || index > items.length) {
    const hint =
      items.length === 0
        ? 'the list is empty: its first index is 0'
        : `its items have the indexes 0 to ${items.length - 1}, ${items.length} adds one`;
    return refuse(node, value, report, at, `${quote(name)} is not an index of this list`, hint);
  }
  return { kind: 'list', items: items.toSpliced(index, 1, assign(items[index], rest, value, report)), at: node.at };
}

function refuse(node: Node | undefined, value: Node, report: Report, at: At, message: string, hint?: string): Node {
  report({ code: 'override', message, hint, at });
  return node ?? value;
}

/** The class of an item of `modifiers`, when the name is meant to be its class but is another. */
function otherClass(node: MapNode, name: string): string | undefined {
  const [only, ...more] = node.entries.keys();
  if (only === undefined || more.length > 0 || only === name || !only.endsWith('Modifier')) return undefined;
  return name.endsWith('Modifier') || suggest(name, [only]) !== undefined ? only : undefined;
}
