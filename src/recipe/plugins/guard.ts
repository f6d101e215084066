import { TensorpressError } from '../../errors.js';
import type { Range } from '../../numerics/grid.js';
import type { Modifier, Observation, PartPlan } from '../../modifiers/modifier.js';
import type { Observer, ValueObserver } from '../../observers/observer.js';
import type { Part } from '../../runtime/model/model.js';
import { messageOf } from './module.js';

// Whatever a plugin's code does, it is the plugin that is blamed, by its name and file.

/** The modifier with its functions watched: what they throw, and a plan that is none, becomes an error that names it. */
export function guardModifier(modifier: Modifier, file: string): Modifier {
  const { type } = modifier;
  const blame = blamer(type, file);
  return {
    type,
    schema: modifier.schema,
    flows: modifier.flows ?? false,
    ...(modifier.inherits && { inherits: options => blame.sync('inherits', () => modifier.inherits!(options)) }),
    ...(modifier.schemes && {
      schemes: (options, model) =>
        blame.sync('schemes', () => {
          const claims = modifier.schemes!(options, model);
          const { schemes, places, patterns, problems } = claims as Partial<typeof claims>;
          if (schemes instanceof Map && places instanceof Map && Array.isArray(patterns) && Array.isArray(problems))
            return claims;
          throw new TypeError('it gives no claims; claimSchemes makes them of scheme, targets and ignore');
        }),
    }),
    plan: (options, part, schemes) =>
      blame.sync(`plan of ${part.id}`, () => checkedPlan(modifier.plan(options, part, schemes), part)),
    edit: (part, context) => blame.async(`edit of ${part.id}`, () => modifier.edit(part, context)),
  };
}

/** The observer with its functions watched. */
export function guardObserver(observer: Observer, file: string): Observer {
  const { names, values } = observer;
  const blame = blamer(`observer ${names[0]!}`, file);
  return {
    names,
    ...(observer.kwargs && { kwargs: observer.kwargs }),
    ...(observer.weightRange && {
      weightRange: observation =>
        blame.async('weightRange', async () => {
          const range = await observer.weightRange!(observation);
          const { gridRows, gridColumns } = observation.grid;
          return checkedRange(range, gridRows * gridColumns);
        }),
    }),
    ...(values && { values: guardValues(values, blame) }),
  };
}

function guardValues(values: ValueObserver<unknown, unknown>, blame: Blamer): ValueObserver<unknown, unknown> {
  return {
    reduce: spec =>
      blame.sync('reduce', () => {
        const reductions = values.reduce(spec) as unknown;
        if (Array.isArray(reductions)) return reductions as ReturnType<typeof values.reduce>;
        throw new TypeError('it gives no list of reductions');
      }),
    init: spec => blame.sync('init', () => values.init(spec)),
    update: (state, reduced, seen, spec) => blame.sync('update', () => values.update(state, reduced, seen, spec)),
    finish: (state, spec) =>
      blame.sync('finish', () => {
        const result = values.finish(state, spec);
        // the range of a scheme's scales
        return spec.args === null ? result : checkedRange(result as Range, spec.columns / spec.size);
      }),
  };
}

type Blamer = ReturnType<typeof blamer>;

function blamer(name: string, file: string) {
  const failure = (where: string, cause: unknown) => {
    // what the run itself says (a damaged tensor, a full disk, an interruption) is not the plugin's doing
    if (cause instanceof TensorpressError || (cause as Partial<Error> | undefined)?.name === 'AbortError') return cause;
    return new TensorpressError('PLUGIN', `${name} fails in ${where}: ${messageOf(cause)}`, {
      place: { file },
      hint: 'this is an error of the plugin; --debug shows where',
      cause,
    });
  };
  return {
    sync<T>(where: string, work: () => T): T {
      try {
        return work();
      } catch (cause) {
        throw withStack(failure(where, cause), cause);
      }
    },
    async async<T>(where: string, work: () => Promise<T>): Promise<T> {
      try {
        return await work();
      } catch (cause) {
        throw withStack(failure(where, cause), cause);
      }
    },
  };
}

/** The stack of the plugin, since ours says nothing of it. */
function withStack(error: unknown, cause: unknown): unknown {
  if (error !== cause && error instanceof Error && cause instanceof Error && cause.stack !== undefined)
    error.stack = `${error.name}: ${error.message}\n${cause.stack}`;
  return error;
}

/** A plan that says what it must, of modules that the part has. */
function checkedPlan(plan: unknown, part: Part): PartPlan {
  if (typeof plan !== 'object' || plan === null) throw new TypeError('it gives no plan, which is an object');
  const { codes, dense, parameters, observe, refuse } = plan as Record<string, unknown>;
  if (refuse !== undefined && typeof refuse !== 'string') throw new TypeError('refuse is no sentence');
  for (const [name, list] of Object.entries({ codes, dense, parameters, observe })) {
    if (list !== undefined && !Array.isArray(list)) throw new TypeError(`${name} is no list`);
  }
  const modules = new Map(part.modules.map(module => [module.name, module]));
  for (const name of [...((codes ?? []) as unknown[]), ...((dense ?? []) as unknown[])]) {
    if (typeof name !== 'string' || modules.get(name)?.weight === undefined)
      throw new TypeError(`${String(name)} is no module of the part with a weight`);
  }
  for (const observation of (observe ?? []) as Partial<Observation>[]) {
    if (typeof observation.site !== 'string' || typeof observation.observer !== 'string')
      throw new TypeError('an observation is {site, observer}');
  }
  return plan;
}

/** A range for every block, finite and the right way round. */
function checkedRange(range: Range, blocks: number): Range {
  const { min = [], max = [] } = (range as Partial<Range> | undefined) ?? {};
  if (min.length !== blocks || max.length !== blocks)
    throw new TypeError(`it gives ${min.length} minima and ${max.length} maxima of ${blocks} blocks`);
  for (let b = 0; b < blocks; b++) {
    if (!(Number.isFinite(min[b]) && Number.isFinite(max[b]) && min[b]! <= max[b]!))
      throw new TypeError(`the range of block ${b} is [${min[b]}, ${max[b]}]`);
  }
  return range;
}
