import type { ModuleScheme } from '../modifiers/modifier.js';
import type { Model, Part } from '../runtime/model/model.js';
import { patterns } from '../runtime/model/untouched.js';
import type { PlanFinding } from './plan-findings.js';
import type { Copy, Outcome, PartWork, Step, StepWork } from './plan.js';

/**
 * Asks every modifier what it does to every part.
 * @param coders who makes the codes of a module
 */
export function planParts(
  model: Model,
  steps: readonly Step[],
  coders: ReadonlyMap<string, Step>,
  { joined }: Pick<Outcome, 'joined'>,
): { parts: PartWork[]; problems: PlanFinding[] } {
  const problems = new Problems();
  const parts = model.parts.map((part): PartWork => {
    const work: StepWork[] = [];
    for (const step of steps) {
      const schemes = schemesOf(part, step, name => coders.get(name) === step && !joined.has(name));
      const { modifier, options } = step;
      const {
        codes = [],
        dense = [],
        parameters = [],
        observe = [],
        refuse,
      } = modifier.plan(options as never, part, schemes);
      if (refuse !== undefined) problems.add(step, patterns([refuse]));
      for (const module of dense) {
        const coder = work.find(earlier => earlier.codes.includes(module))?.step;
        if (coder === undefined) continue;
        const before = `modifier ${coder.index + 1} (${coder.modifier.type})`;
        const message = `${before} has made codes of its weight, which cannot be edited any more`;
        problems.add(step, message, [module], `put ${modifier.type} before it`);
      }
      if ([codes, dense, parameters, observe].some(list => list.length > 0))
        work.push({ step, schemes, codes, dense, parameters, observe });
    }
    return { part, steps: work, copies: copiesOf(part, work, joined) };
  });
  return { parts, problems: problems.list() };
}

/** A step's schemes for a part; those of weights only where it makes the codes. */
function schemesOf(part: Part, { schemes }: Step, codes: (module: string) => boolean): Map<string, ModuleScheme> {
  return new Map(
    part.modules.flatMap(({ name }) => {
      const scheme = schemes.get(name);
      if (scheme === undefined) return [];
      return [[name, codes(name) ? scheme : { ...scheme, weights: null }] as const];
    }),
  );
}

/** What is stored as a weight, edited or not; a head that is separated from the embedding gets a name of its own. */
function copiesOf(part: Part, work: readonly StepWork[], joined: Outcome['joined']): Copy[] {
  const coded = new Set(work.flatMap(({ codes }) => codes));
  const replaced = new Set(
    part.modules.flatMap(({ name, weight }) => (weight && coded.has(name) ? [weight.tensor] : [])),
  );
  const separated = part.modules.flatMap(({ name, weight }) =>
    weight?.tiedTo !== undefined && !joined.has(name) && !coded.has(name)
      ? [{ tensor: weight.tensor, as: `${name}.weight` }]
      : [],
  );
  return [...part.tensors.filter(t => !replaced.has(t)).map(t => ({ tensor: t, as: t })), ...separated];
}

/** One finding for all parts or modules of which the same is to be said. */
class Problems {
  readonly #found = new Map<string, { step: Step; message: string; names: string[]; hint?: string }>();

  add(step: Step, message: string, names: readonly string[] = [], hint?: string): void {
    const key = JSON.stringify([step.index, message]);
    const found = this.#found.get(key) ?? { step, message, names: [], ...(hint !== undefined && { hint }) };
    this.#found.set(key, found);
    found.names.push(...names);
  }

  list(): PlanFinding[] {
    return [...this.#found.values()].map(({ step: { index, modifier }, message, names, hint }) => ({
      level: 'error',
      path: ['modifiers', index, modifier.type],
      message: names.length === 0 ? message : `${patterns(names)}: ${message}`,
      ...(hint !== undefined && { hint }),
    }));
  }
}
