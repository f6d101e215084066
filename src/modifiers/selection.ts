import type { Model, Module, WeightedModule } from '../runtime/model/model.js';
import { compilePattern, matches, selects } from '../schemes/targets.js';
import { meant } from './meant.js';
import type { Claims, PatternUse, Problem } from './modifier.js';

/** The fields by which a modifier without schemes says which weights it edits. */
export interface Selection {
  /** Module names, classes, or `re:` patterns. Default: Linear. */
  readonly targets?: readonly string[];
  /** What stays as it is, though a target matches it. */
  readonly ignore?: readonly string[];
}

/**
 * The modules, among those of a part or of a model, whose weight a selection means: those that a target matches and `ignore` does not. A head that
 * is tied to the embedding is not among them, since it has no weight of its own.
 */
export function selectModules(
  { targets = ['Linear'], ignore = [] }: Selection,
  modules: readonly Module[],
): WeightedModule[] {
  const [wanted, unwanted] = [targets.map(compilePattern), ignore.map(compilePattern)];
  return modules.filter(
    (module): module is WeightedModule => hasOwnWeight(module) && selects(wanted, unwanted, module),
  );
}

/**
 * What a selection says of a model, for `schemes` of a modifier: no schemes, but a finding for every pattern that matches nothing, and for the
 * plan how often each applied.
 */
export function claimSelection({ targets = ['Linear'], ignore = [] }: Selection, model: Model): Claims {
  const chosen = selectModules({ targets, ignore }, model.modules);
  const weighted = model.modules.filter(hasOwnWeight);
  const problems: Problem[] = [];
  const use = (role: PatternUse['role'], field: string) => (text: string, i: number) => {
    const pattern = compilePattern(text);
    const matched = (role === 'target' ? weighted : model.modules).filter(m => matches(pattern, m) !== undefined);
    if (matched.length === 0) {
      // a regular expression in ignore is often written for several models; a name is meant
      const level = role === 'ignore' && pattern.regex !== null ? 'warning' : 'error';
      const message = `"${text}"${role === 'ignore' ? ' in ignore' : ''} matches no ${role === 'target' ? 'weight' : 'module'} of this model`;
      problems.push({ level, path: [field, i], message, hint: meant(text, model) });
    }
    const decided = role === 'target' ? matched.filter(m => chosen.includes(m as WeightedModule)) : matched;
    return { pattern: text, role, matched: matched.length, decided: decided.length };
  };
  return {
    schemes: new Map(),
    places: new Map(chosen.map(({ name }) => [name, ['targets']])),
    patterns: [...targets.map(use('target', 'targets')), ...ignore.map(use('ignore', 'ignore'))],
    problems,
  };
}

function hasOwnWeight({ weight }: Module): boolean {
  return weight !== undefined && weight.tiedTo === undefined;
}
