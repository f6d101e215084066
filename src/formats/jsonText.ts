import { TensorpressError, type ErrorCode, type Place } from '../errors.js';
import { printable } from './printable.js';

export interface JsonTextOptions {
  /** Named in errors. */
  file: string;
  /** The document in a sentence: `the header`. Default: `the file`. */
  what?: string;
  /** Default: MODEL. */
  code?: ErrorCode;
  /** Nested objects and arrays. Default: 100. */
  maxDepth?: number;
  /** Default: 100 MB, safetensors' own limit for a header. */
  maxBytes?: number;
  /**
   * Default: 8 million. Bounds memory: a hundred megabytes of `{},` would become gigabytes of objects. Real headers of that size hold fewer.
   */
  maxValues?: number;
  /** Also accept NaN, Infinity and -Infinity, which Python writes into some config.json. Default: false. */
  python?: boolean;
  /** What a number becomes, from its text. Default: a number. */
  number?: (text: string) => unknown;
  /** Adds to an error's place what the keys on the way to it mean (a tensor's name). */
  locate?: (keys: readonly string[]) => Place;
}

const MAX_DIGITS = 400;

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const LITERALS = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);
const PYTHON_LITERALS = new Map<string, unknown>([
  ...LITERALS,
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

/**
 * JSON as RFC 8259 has it and nothing more, in linear time. Unlike `JSON.parse` it refuses an object with the same key twice, invalid UTF-8,
 * and documents that are too large or too deep, and it says where (line and column). Keys such as `__proto__` become own properties.
 * @throws TensorpressError `code`
 */
export function parseJsonStrict(text: string | Uint8Array, options: JsonTextOptions): unknown {
  const { file, what = 'the file', code = 'MODEL', number = Number, locate } = options;
  const { maxDepth = 100, maxBytes = 100_000_000, maxValues = 8_000_000 } = options;
  const literals = options.python === true ? PYTHON_LITERALS : LITERALS;
  const keys: string[] = [];
  let at = 0;
  let values = 0;

  function refuse(problem: string, place: Place = {}, hint = 'if the file came over a network, fetch it again'): never {
    throw new TensorpressError(code, `${what} ${problem}`, { place: { file, ...locate?.(keys), ...place }, hint });
  }
  const wrong = (problem: string): never => refuse(`is not valid JSON: ${problem}`, position(source, at));

  if (text.length > maxBytes) {
    refuse(`is too large to be read: ${text.length} bytes, the limit is ${maxBytes}`);
  }
  const source = typeof text === 'string' ? text : decodeUtf8(text, () => refuse('is not valid UTF-8'));

  function space(): void {
    for (let c = source.charCodeAt(at); c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;) {
      c = source.charCodeAt(++at);
    }
  }

  /** Skips white space, then `character` if it comes next. */
  function skip(character: string): boolean {
    space();
    if (source[at] !== character) return false;
    at++;
    return true;
  }

  /** What stands here up to the next character that cannot belong to a number or literal. */
  function word(): string {
    let end = at;
    while (end - at <= MAX_DIGITS && isWord(source.charCodeAt(end))) end++;
    return source.slice(at, end);
  }

  function string(): string {
    let end = at + 1;
    let escaped = false;
    for (let c = source.charCodeAt(end); c !== 0x22; c = source.charCodeAt(++end)) {
      if (!(c >= 0x20)) wrong(end < source.length ? 'a control character inside a string' : 'a string without an end');
      if (c === 0x5c) {
        escaped = true;
        end++;
      }
    }
    const quoted = source.slice(at, end + 1);
    let result = quoted.slice(1, -1);
    try {
      if (escaped) result = JSON.parse(quoted) as string;
    } catch {
      wrong('a string with an escape that does not exist');
    }
    at = end + 1;
    return result;
  }

  function object(depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    if (skip('}')) return result;
    do {
      space();
      const start = at;
      if (source[at] !== '"') wrong('expected a key in double quotes');
      const key = string();
      keys.push(key);
      if (Object.hasOwn(result, key)) {
        refuse(`has the key "${printable(key)}" twice`, position(source, start), 'keep one of the two');
      }
      if (!skip(':')) wrong('expected ":" after a key');
      const inner = value(depth);
      // Assignment to `__proto__` would set the prototype instead.
      if (key === '__proto__') Object.defineProperty(result, key, { value: inner, enumerable: true, writable: true });
      else result[key] = inner;
      keys.pop();
    } while (skip(','));
    return skip('}') ? result : wrong('expected "," or "}" after a value');
  }

  function array(depth: number): unknown[] {
    const result: unknown[] = [];
    if (skip(']')) return result;
    do result.push(value(depth));
    while (skip(','));
    return skip(']') ? result : wrong('expected "," or "]" after a value');
  }

  function value(depth: number): unknown {
    if (++values > maxValues) refuse(`is too large to be read: more than ${maxValues} values`);
    space();
    const first = source[at];
    if (first === '"') return string();
    if (first === '{' || first === '[') {
      if (depth === maxDepth) refuse(`is nested more than ${maxDepth} deep`, position(source, at));
      at++;
      return first === '{' ? object(depth + 1) : array(depth + 1);
    }
    const token = word();
    if (token.length > MAX_DIGITS || (!literals.has(token) && !NUMBER.test(token))) {
      wrong(
        first === undefined
          ? 'it ends too early'
          : token.length > MAX_DIGITS
            ? 'a number too long'
            : 'expected a value',
      );
    }
    at += token.length;
    return literals.has(token) ? literals.get(token) : number(token);
  }

  const result = value(0);
  space();
  return at === source.length ? result : wrong('something follows the end');
}

/** Letters, digits, `+`, `-` and `.`. */
function isWord(c: number): boolean {
  return (
    (c >= 0x30 && c <= 0x39) ||
    (c >= 0x61 && c <= 0x7a) ||
    (c >= 0x41 && c <= 0x5a) ||
    c === 0x2b ||
    c === 0x2d ||
    c === 0x2e
  );
}

function decodeUtf8(bytes: Uint8Array, refuse: () => never): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse();
  }
}

/** Line and column of an offset, both from 1. */
function position(text: string, at: number): Place {
  let line = 1;
  let start = 0;
  for (let end = text.indexOf('\n'); end !== -1 && end < at; end = text.indexOf('\n', start)) {
    line++;
    start = end + 1;
  }
  return { line, column: at - start + 1 };
}
