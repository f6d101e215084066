import { importanceOrder, type Factor, type Hessian } from '../numerics/gptq.js';
import { actorderOf } from '../schemes/args.js';
import type { Member } from './families.js';
import type { Compute, Observation, Remark, Statistics } from './modifier.js';

/** What GPTQ knows of the input of a Linear. */
export interface Input {
  readonly factor: Factor;
  /** Column that comes j-th; null: in their order. */
  readonly order: Int32Array | null;
  /** Group of each column under actorder `group`, null elsewhere. */
  readonly groupIndex: Int32Array | null;
}

/** What is tried, one after the other, until H is positive definite. */
const DAMPING_FACTORS = [1, 10, 100];

/** The Hessian of a module's input; embeddings have none. */
export function hessianOf({ module }: Member): Observation[] {
  return module.classes[0] === 'Linear' ? [{ site: `${module.name}.input`, observer: 'hessian' }] : [];
}

interface Attempt {
  readonly factor: Factor | null;
  readonly remark?: string;
}

interface Held {
  readonly hessian: Hessian;
  /** Of the columns in their order, and by importance. */
  readonly attempts: { plain?: Attempt; ordered?: Attempt };
}

/** Hessians and their factors. Modules that read the same value come one after the other, and share one factor; no more than it is kept. */
export class Inputs {
  #held: Held | undefined;

  constructor(
    readonly statistics: Statistics,
    readonly compute: Compute,
    readonly report: (remark: Remark) => void,
    readonly damping: number,
  ) {}

  /** Null when the module has to be rounded to nearest. */
  async take(member: Member): Promise<Input | null> {
    const { module, args } = member;
    const [observation] = hessianOf(member);
    if (observation === undefined) return null;
    const held = this.#hold(await this.statistics.take<Hessian>(observation), module.name);
    const actorder = actorderOf(args);
    const order = actorder === null ? null : importanceOrder(held.hessian);
    const attempt = (held.attempts[order === null ? 'plain' : 'ordered'] ??= await this.#factor(held.hessian, order));
    if (attempt.remark !== undefined) this.report({ module: module.name, message: attempt.remark });
    if (attempt.factor === null) return null;
    return {
      factor: attempt.factor,
      order,
      groupIndex: actorder === 'group' ? inverseGroups(order!, args.group_size!) : null,
    };
  }

  #hold(hessian: Hessian, module: string): Held {
    if (this.#held !== undefined && equal(this.#held.hessian, hessian)) return this.#held;
    const { tokens } = this.statistics.seen;
    const { n } = hessian;
    if (tokens < 2 * n) {
      const message = `${tokens} calibration tokens are few for an input of ${n} columns, so GPTQ follows them more than the language: give it ${2 * n} or more`;
      this.report({ module, message });
    }
    return (this.#held = { hessian, attempts: {} });
  }

  async #factor(hessian: Hessian, order: Int32Array | null): Promise<Attempt> {
    const dampings = [...new Set(DAMPING_FACTORS.map(factor => factor * this.damping))];
    for (const damping of dampings) {
      const factor = await this.compute.gptqFactor(hessian, { damping, order });
      if (factor === null) continue;
      const { dead, n } = factor;
      if (dead.length === n) return { factor: null, remark: 'no calibration token has reached it: rounded to nearest' };
      const remarks = [
        ...(damping === dampings[0]
          ? []
          : [`its Hessian is not positive definite with dampening_frac ${dampings[0]}: ${damping} was used`]),
        ...(dead.length === 0
          ? []
          : [
              `${dead.length} of its ${n} input columns are 0 for every calibration token, and so are their weights now`,
            ]),
      ];
      return { factor, ...(remarks.length > 0 && { remark: remarks.join('; ') }) };
    }
    const remark = `its Hessian is not positive definite, even with dampening_frac ${dampings.at(-1)}: rounded to nearest`;
    return { factor: null, remark };
  }
}

/** Modules that read the same value may get their own copy of its Hessian. To compare them costs nothing beside a factor. */
function equal(a: Hessian, b: Hessian): boolean {
  if (a.values === b.values) return true;
  return a.n === b.n && a.values.every((v, i) => v === b.values[i]);
}

/** Group of each column when the groups are runs of columns in the order of work. */
function inverseGroups(order: Int32Array, size: number): Int32Array {
  const groups = new Int32Array(order.length);
  order.forEach((column, j) => (groups[column] = Math.floor(j / size)));
  return groups;
}
