import { translatePython } from './regex.js';

/** A target or an entry of `ignore`, ready to match: a module name, a class name, or after `re:` a regular expression for names. */
export interface Pattern {
  readonly text: string;
  readonly regex: RegExp | null;
  /** Why the regular expression cannot be used; such a pattern matches nothing. */
  readonly problem?: string;
}

/** What a pattern needs to know of a module: its dotted name, and its class followed by the base classes. */
export interface Named {
  readonly name: string;
  readonly classes: readonly string[];
}

export type MatchedBy = 'name' | 'regex' | 'class';

/** The strongest first. */
export const RANKS: readonly MatchedBy[] = ['name', 'regex', 'class'];

/**
 * Reads one target. The regular expression is Python's and must match from the start of a name, not to its end (`re.match`); what JavaScript
 * cannot express is a problem. Nothing is matched here.
 */
export function compilePattern(text: string): Pattern {
  if (!text.startsWith('re:')) return { text, regex: null };
  const { source, problem } = translatePython(text.slice('re:'.length));
  if (problem !== undefined) return { text, regex: null, problem: `the pattern ${text} cannot be used: ${problem}` };
  try {
    new RegExp(source); // by itself: the group below must not close what it leaves open
    return { text, regex: new RegExp(`^(?:${source})`) };
  } catch (error) {
    const reason = (error as SyntaxError).message.split(': ').at(-1)!.toLowerCase();
    return { text, regex: null, problem: `the pattern ${text} is not a regular expression: ${reason}` };
  }
}

/** By what the pattern matches the module, if it does. A class name also matches subclasses. */
export function matches({ text, regex }: Pattern, { name, classes }: Named): MatchedBy | undefined {
  if (regex !== null) return regex.test(name) ? 'regex' : undefined;
  if (text === name) return 'name';
  return classes.includes(text) ? 'class' : undefined;
}

/** True when a target matches and no entry of `ignore` does. */
export function selects(targets: readonly Pattern[], ignore: readonly Pattern[], module: Named): boolean {
  const match = (pattern: Pattern): boolean => matches(pattern, module) !== undefined;
  return targets.some(match) && !ignore.some(match);
}

/** The targets that match the module, the one whose scheme wins first: names before regular expressions before classes, each by code point. */
export function prioritize(targets: readonly Pattern[], module: Named): string[] {
  return RANKS.flatMap(rank =>
    targets
      .filter(target => matches(target, module) === rank)
      .map(target => target.text)
      .sort(),
  );
}
