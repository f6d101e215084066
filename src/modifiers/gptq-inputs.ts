import { importanceOrder, type Factor } from '../numerics/gptq.js';
import type { Gram } from '../observers/gram.js';
import { actorderOf } from '../schemes/args.js';
import type { Member } from './families.js';
import { groupsInOrder } from './gptq-groups.js';
import type { Compute, Observation, Remark, Statistics } from './modifier.js';

/** What GPTQ knows of the input of a Linear. */
export interface Input {
  readonly factor: Factor;
  /** Column that comes j-th; null: in their order. */
  readonly order: Int32Array | null;
  /** Group of each column under actorder `group`, null elsewhere. */
  readonly groupIndex: Int32Array | null;
}

/** What dampening_frac is multiplied by, one after the other, until H is positive definite. */
const RETRIES = [1, 10, 100];

/** The Hessian of a module's input; embeddings have none. */
export function hessianOf({ module }: Member): Observation[] {
  return module.classes[0] === 'Linear' ? [{ site: `${module.name}.input`, observer: 'hessian' }] : [];
}

/** A factor, or why there is none; and what there is to say about it. */
interface Attempt {
  readonly factor: Factor | null;
  readonly remarks: readonly string[];
}

/** The Hessian in work, and its factors for columns in their own order and in that of importance. */
interface Work {
  readonly hessian: Gram;
  plain?: Attempt;
  ordered?: Attempt;
}

/** Hessians and their factors. Modules that read the same value follow each other and share them; nothing older is kept. */
export class Inputs {
  #work: Work | undefined;

  constructor(
    readonly statistics: Statistics,
    readonly compute: Compute,
    readonly report: (remark: Remark) => void,
    readonly damping: number,
  ) {}

  /** Null when a module has to be rounded to nearest. */
  async take(member: Member): Promise<Input | null> {
    const { module, args } = member;
    const [observation] = hessianOf(member);
    if (observation === undefined) return null;
    const work = this.#workOn(await this.statistics.take<Gram>(observation), module.name);
    const actorder = actorderOf(args);
    const order = actorder === null ? null : importanceOrder(work.hessian);
    const attempt = (work[order === null ? 'plain' : 'ordered'] ??= await this.#factor(work.hessian, order));
    for (const message of attempt.remarks) this.report({ module: module.name, message });
    if (attempt.factor === null) return null;
    const groupIndex = actorder === 'group' ? groupsInOrder(order!, args.group_size!) : null;
    return { factor: attempt.factor, order, groupIndex };
  }

  #workOn(hessian: Gram, module: string): Work {
    if (this.#work?.hessian === hessian) return this.#work;
    const { n, tokens } = hessian;
    if (tokens < 2 * n) {
      const message = `${tokens} calibration tokens are few for an input of ${n} columns: GPTQ fits them rather than language; give it at least ${2 * n}`;
      this.report({ module, message });
    }
    return (this.#work = { hessian });
  }

  async #factor(hessian: Gram, order: Int32Array | null): Promise<Attempt> {
    const dampings = [...new Set(RETRIES.map(factor => factor * this.damping))];
    const last = dampings.at(-1)!;
    for (const damping of dampings) {
      const scale = 2 / hessian.sequences;
      const factor = await this.compute.gptqFactor(hessian, { damping, order, scale });
      if (factor === null) continue;
      const { dead, n } = factor;
      if (dead.length === n) return { factor: null, remarks: ['its input is always 0, so it was rounded to nearest'] };
      const retried = `its Hessian is not positive definite with dampening_frac ${this.damping}, so ${damping} was used`;
      const unused = `${dead.length} of its ${n} input columns are always 0, and so are their weights now`;
      return {
        factor,
        remarks: [...(damping === this.damping ? [] : [retried]), ...(dead.length === 0 ? [] : [unused])],
      };
    }
    const remark = `its Hessian is not positive definite, even with dampening_frac ${last}, so it was rounded to nearest`;
    return { factor: null, remarks: [remark] };
  }
}
