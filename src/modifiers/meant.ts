import type { Model } from '../runtime/model/model.js';
import { suggest } from '../schemes/suggest.js';
import { compilePattern } from '../schemes/targets.js';

const RULE = 'names and classes are matched whole, a re: pattern from the start of a name';

/** The way out for a pattern that matches nothing: what was probably meant, else how patterns match. */
export function meant(text: string, { modules }: Model): string {
  const names = modules.map(({ name }) => name);
  const segments = new Set(names.flatMap(name => name.split('.')).filter(segment => !/^\d+$/.test(segment)));
  const classes = new Set(modules.flatMap(module => module.classes));
  const { regex } = compilePattern(text);
  if (regex === null) {
    const tail = modules.find(({ name }) => name.endsWith(`.${text}`));
    if (tail !== undefined)
      return `write "re:.*${escape(text)}${tail.weight === undefined ? '.*' : '$'}": a name is matched whole`;
    if (text.includes('*')) return 'a pattern is a regular expression after re:, as in "re:.*q_proj$"';
    const near = suggest(text, [...names, ...classes, ...segments]);
    if (near === undefined) return RULE;
    const known = classes.has(near) || names.includes(near);
    return `did you mean "${known ? near : `re:.*${escape(near)}$`}"?`;
  }
  const inside = new RegExp(regex.source.slice(1)); // without the anchor
  if (names.some(name => inside.test(name)))
    return `write "re:.*${text.slice(3)}": a pattern is matched from the start of a name`;
  const words = (text.match(/[A-Za-z]\w*/g) ?? []).filter(word => word !== 're' && !segments.has(word));
  const classWord = words.find(word => classes.has(word));
  if (classWord !== undefined) return `${classWord} is a class: write it without re:`;
  for (const word of words) {
    const near = suggest(word, segments);
    if (near !== undefined) return `did you mean "${text.replace(word, near)}"?`;
  }
  return RULE;
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
