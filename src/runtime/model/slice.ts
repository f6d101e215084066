import { readsOf, type Graph, type Op, type Value } from './graph.js';

/** What an engine runs: the ops between two sets of values. */
export interface Slice {
  readonly ops: readonly Op[];
  /** Everything that has to be there: values that flow in, weights, what comes with a run. */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/**
 * The ops that lead to the values `to`, and no others. Values in `given` are not computed, but read.
 * @throws Error when a value of `to` is neither given nor computed by the ops
 */
export function slice(ops: readonly Op[], to: readonly Value[], given: ReadonlySet<Value> = new Set()): Slice {
  const by = new Map(ops.map(op => [op.out, op]));
  const needed = new Set<Op>();
  const inputs = new Set<Value>();
  const visit = (value: Value): void => {
    const op = given.has(value) ? undefined : by.get(value);
    if (op === undefined) inputs.add(value);
    else if (!needed.has(op)) {
      needed.add(op);
      readsOf(op).forEach(visit);
    }
  };
  for (const value of to) {
    if (!by.has(value) && !given.has(value)) throw new Error(`nothing computes ${value}`);
    visit(value);
  }
  return { ops: ops.filter(op => needed.has(op)), inputs: [...inputs], outputs: to };
}

/** A graph cut at its mixtures of experts, in order: slices, and between them mixtures, whose input and routes the slices before them give. */
export type Stage = { readonly slice: Slice } | { readonly mixture: Op<'experts'>; readonly expert: Slice };

/**
 * Cuts a graph so that no slice holds a mixture; a slice gives what later stages and the caller want.
 * @param wanted values that the caller wants, `output` among them if it wants that
 */
export function stages({ ops }: Pick<Graph, 'ops'>, wanted: readonly Value[]): Stage[] {
  const cuts = [...ops.entries()].filter((entry): entry is [number, Op<'experts'>] => entry[1].op === 'experts');
  const found: Stage[] = [];
  const given = new Set<Value>();
  const bounds = [...cuts.map(([index]) => index), ops.length];
  let from = 0;
  for (const to of bounds) {
    const here = ops.slice(from, to);
    const later = new Set([...ops.slice(to).flatMap(readsOf), ...wanted]);
    const gives = here.map(op => op.out).filter(value => later.has(value));
    if (gives.length > 0) found.push({ slice: slice(here, gives, given) });
    gives.forEach(value => given.add(value));
    const mixture = cuts.find(([index]) => index === to)?.[1];
    if (mixture === undefined) continue;
    found.push({ mixture, expert: slice(mixture.with.body, ['output'], new Set(['x'])) });
    given.add(mixture.out);
    from = to + 1;
  }
  return found;
}
