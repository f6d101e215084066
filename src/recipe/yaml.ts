import { Composer, Lexer, Parser, isAlias, isMap, isScalar, isSeq, Scalar } from 'yaml';
import type { CST, Document, Node as YamlNode, ParsedNode, YAMLMap, YAMLSeq } from 'yaml';
import { choices, quote, type Report } from './findings.js';
import { explainSyntax } from './syntax.js';
import { start, wholeOf, type Entry, type Node } from './nodes.js';
import { join, type At, type Source } from './source.js';
import { suggest } from '../schemes/suggest.js';

/** Words and signs of YAML in one recipe: a bound on the time that a hostile one can take. */
const MAX_TOKENS = 100_000;
/** Values after all aliases are expanded. */
const MAX_VALUES = 50_000;
const MAX_DEPTH = 64;
const TOO_DEEP = `values are nested more than ${MAX_DEPTH} deep`;
/** Syntax errors drag others behind them; more than these help nobody. */
const MAX_SYNTAX_ERRORS = 5;

/**
 * Reads a YAML 1.2 (core schema) document into nodes. Merge keys (`<<`) work. Duplicate keys, tags other than those of the core schema,
 * several documents, endless aliases and deep nesting are reported.
 *
 * @param range the part of the source that holds the document; all of it without it
 * @returns undefined when the document is empty or too broken to go on
 */
export function parseYaml(
  source: Source,
  report: Report,
  range?: { from: number; to: number; pointer?: string },
): Node | undefined {
  const { from, to, pointer: root = '' } = range ?? { from: 0, to: source.text.length };
  const at = (start: number, end: number, pointer = root): At => ({
    source,
    from: from + start,
    to: from + Math.max(end, start),
    pointer,
  });

  const tokens = tokenize(source.text.slice(from, to));
  if (tokens === undefined) {
    const message = `the recipe holds more than ${MAX_TOKENS} words and signs`;
    report({ code: 'too-large', message, at: start(wholeOf(source)) });
    return undefined;
  }
  // the composer is recursive: what is too deep must not reach it
  const deep = tooDeep(tokens);
  if (deep !== undefined) {
    report({ code: 'too-deep', message: TOO_DEEP, at: at(deep, deep + 1) });
    return undefined;
  }
  const composer = new Composer({ schema: 'core', uniqueKeys: false, prettyErrors: false, resolveKnownTags: false });
  const [document, second] = Array.from<Document.Parsed>(composer.compose(tokens, false, to - from));
  if (document === undefined) return undefined;

  const errors = [...document.errors, ...document.warnings.filter(({ code }) => code === 'TAG_RESOLVE_FAILED')];
  if (errors.length > 0) {
    errors.sort((a, b) => a.pos[0] - b.pos[0]);
    for (const error of errors.slice(0, MAX_SYNTAX_ERRORS))
      report({ ...explainSyntax(error, source, from), at: at(...error.pos) });
    return undefined;
  }
  if (second !== undefined) {
    const [offset] = second.range;
    report({
      code: 'several-documents',
      message: 'the text holds several documents',
      hint: 'a recipe is one document: remove the line "---" and what follows',
      at: at(offset, offset + 1),
    });
    return undefined;
  }
  return document.contents === null ? undefined : new Reader(at, report).read(document.contents, root);
}

/** The concrete syntax of a text; undefined when it has too many tokens. */
function tokenize(text: string): CST.Token[] | undefined {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (++count > MAX_TOKENS) return undefined;
    tokens.push(...parser.next(lexeme));
  }
  tokens.push(...parser.end());
  return tokens;
}

/** Offset of the first collection that is nested too deep. */
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
  const open: [token: CST.Token, depth: number][] = tokens.map(token => [token, 0]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [token, depth] = next;
    if (depth > MAX_DEPTH) return token.offset;
    const items = token.type === 'document' ? [{ value: token.value }] : 'items' in token ? token.items : [];
    for (const item of items) {
      for (const inner of ['key' in item ? item.key : undefined, item.value]) if (inner) open.push([inner, depth + 1]);
    }
  }
  return undefined;
}

/** How deep a value is nested: 0 for a scalar. */
function height(node: Node): number {
  const children =
    node.kind === 'list'
      ? node.items
      : node.kind === 'map'
        ? Array.from(node.entries.values(), ({ value }) => value)
        : [];
  return children.reduce((most, child) => Math.max(most, 1 + height(child)), 0);
}

class Stop extends Error {}

/** Turns composed YAML into nodes, aliases resolved. */
class Reader {
  readonly #anchors = new Map<string, { node: Node; size: number; height: number }>();
  /** Values so far, each alias counted with all that it stands for. */
  #size = 0;

  constructor(
    readonly at: (from: number, to: number, pointer: string) => At,
    readonly report: Report,
  ) {}

  read(contents: ParsedNode, pointer: string): Node | undefined {
    try {
      return this.#node(contents, pointer, 0);
    } catch (error) {
      if (error instanceof Stop) return undefined;
      throw error;
    }
  }

  #node(yaml: YamlNode, pointer: string, depth: number): Node {
    const [from, to] = yaml.range ?? [0, 0];
    const at = this.at(from, to, pointer);
    const before = this.#size;
    this.#count(1, at);
    if (isAlias(yaml)) return this.#alias(yaml.source, at, depth);
    const node: Node = isMap(yaml)
      ? { kind: 'map', entries: this.#entries(yaml, pointer, depth), at }
      : isSeq(yaml)
        ? { kind: 'list', items: this.#items(yaml, pointer, depth), at }
        : { kind: 'scalar', value: this.#scalar(yaml, at), at };
    if (yaml.anchor !== undefined)
      this.#anchors.set(yaml.anchor, { node, size: this.#size - before, height: height(node) });
    return node;
  }

  #scalar({ value }: Scalar, at: At): string | number | boolean | null {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      this.#stop('not-finite', `${value} is not a number that a recipe can hold`, at, 'write a finite number');
    }
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
  }

  #items(yaml: YAMLSeq, pointer: string, depth: number): Node[] {
    return yaml.items.map((item, i) => this.#node(item as YamlNode, join(pointer, i), depth + 1));
  }

  #alias(name: string, at: At, depth: number): Node {
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) {
      const hint = choices(suggest(name, this.#anchors.keys())) ?? `mark a value before it with &${name}`;
      return this.#stop('unknown-alias', `*${name} stands for nothing: no value before it is named &${name}`, at, hint);
    }
    this.#count(anchor.size, at);
    if (depth + anchor.height > MAX_DEPTH) this.#stop('too-deep', TOO_DEEP, at);
    return anchor.node;
  }

  #entries(yaml: YAMLMap, pointer: string, depth: number): Map<string, Entry> {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    let merge: At | undefined;
    for (const pair of yaml.items) {
      const key = pair.key as YamlNode;
      const [from, to] = key.range ?? [0, 0];
      const isMerge = isScalar(key) && key.value === '<<' && key.type === Scalar.PLAIN;
      const name = isScalar(key) && typeof key.value === 'string' ? key.value : undefined;
      const at = this.at(from, to, name === undefined ? pointer : join(pointer, name));
      if (name === undefined || name === '__proto__' || (name === '<<' && !isMerge)) {
        this.report({
          code: 'bad-key',
          message: name ? `"${name}" cannot be a key` : 'a key must be text',
          hint: name ? undefined : 'put it in quotes',
          at,
        });
        continue;
      }
      const first = isMerge ? merge : own.get(name)?.key;
      if (first !== undefined) {
        const line = first.source.position(first.from).line;
        const hint = isMerge ? 'merge several maps with one key: <<: [*a, *b]' : 'keep one of them';
        this.report({
          code: 'duplicate-key',
          message: `${quote(name)} stands here a second time, the first is on line ${line}`,
          hint,
          at,
        });
        continue;
      }
      const value: Node = pair.value
        ? this.#node(pair.value as YamlNode, join(pointer, name), depth + 1)
        : { kind: 'scalar', value: null, at: { ...at, from: at.to } };
      if (isMerge) {
        merge = at;
        this.#merge(value, at, merged);
      } else {
        own.set(name, { key: at, value });
      }
    }
    // what is written wins over what is merged, whatever comes first
    return merged.size === 0 ? own : new Map([...[...merged].filter(([name]) => !own.has(name)), ...own]);
  }

  #merge(value: Node, at: At, into: Map<string, Entry>): void {
    for (const map of value.kind === 'list' ? value.items : [value]) {
      if (map.kind !== 'map') {
        this.report({
          code: 'bad-merge',
          message: '<< merges maps only',
          hint: 'write <<: *name where &name marks a map',
          at,
        });
        continue;
      }
      for (const [name, entry] of map.entries) if (!into.has(name)) into.set(name, entry);
    }
  }

  #count(size: number, at: At): void {
    this.#size += size;
    if (this.#size > MAX_VALUES)
      this.#stop(
        'too-large',
        `the recipe holds more than ${MAX_VALUES} values once its aliases are written out`,
        start(at),
      );
  }

  #stop(code: string, message: string, at: At, hint?: string): never {
    this.report({ code, message, hint, at });
    throw new Stop();
  }
}
