/** Groups that mean the same in Python and JavaScript. */
const COMMON_GROUPS = /^\((?!\?)|^\(\?(?::|=|!|<=|<!)/;
const NAMED_GROUP = /^\(\?P<(\w+)>/;
const NAMED_REFERENCE = /^\(\?P=(\w+)\)/;
const REPEAT = /^(?:[*+?]|\{(\d*)(?:(,)(\d*))?\})/;
const ESCAPE = /^\\(?:[^A-Za-z]|[bBdDfnrsStvwW]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})/;
const CLASS_START = /^\[\^?\]?/;

/**
 * Translates a regular expression of Python's `re` to JavaScript: named groups and references, `{,n}`, and a `]` that opens a class.
 * @returns the source, or a sentence about what has no equivalent; whether the source compiles is left to RegExp
 */
export function translatePython(
  source: string,
): { source: string; problem?: never } | { source?: never; problem: string } {
  let out = '';
  let rest = source;
  let inClass = false;
  let repeats = false; // the token before was a quantifier
  const take = (length: number, as = rest.slice(0, length)): void => {
    out += as;
    rest = rest.slice(length);
  };
  while (rest !== '') {
    const wasRepeat = repeats;
    repeats = false;
    let found: RegExpExecArray | null;
    if (rest.startsWith('\\')) {
      found = ESCAPE.exec(rest);
      if (found === null) return { problem: `${rest.slice(0, 2)} has no equivalent in JavaScript` };
      take(found[0].length);
    } else if (inClass) {
      inClass = !rest.startsWith(']');
      take(1);
    } else if ((found = CLASS_START.exec(rest))) {
      inClass = true;
      take(found[0].length, found[0].replace(']', '\\]'));
    } else if ((found = NAMED_GROUP.exec(rest))) {
      take(found[0].length, `(?<${found[1]!}>`);
    } else if ((found = NAMED_REFERENCE.exec(rest))) {
      take(found[0].length, `\\k<${found[1]!}>`);
    } else if (rest.startsWith('(')) {
      found = COMMON_GROUPS.exec(rest);
      if (found === null)
        return { problem: `the group ${/^\(\??[^)]{0,3}/.exec(rest)![0]}…) has no equivalent in JavaScript` };
      take(found[0].length);
    } else if (wasRepeat && rest.startsWith('+')) {
      return { problem: 'possessive quantifiers have no equivalent in JavaScript' };
    } else if (wasRepeat && rest.startsWith('?')) {
      take(1); // lazy
    } else if ((found = REPEAT.exec(rest)) && found[0] !== '{}') {
      repeats = true;
      const [text, least, comma, most] = found;
      take(text.length, comma === undefined ? text : `{${least || '0'},${most!}}`);
    } else if (rest.startsWith('{')) {
      take(1, '\\{');
    } else {
      take(1);
    }
  }
  return { source: out };
}
