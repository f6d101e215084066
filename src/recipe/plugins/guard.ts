import { TensorpressError } from '../../errors.js';
import type { Modifier } from '../../modifiers/modifier.js';
import type { Observer, ValueObserver, ValueSpec } from '../../observers/observer.js';
import { checkedClaims, checkedPlan, checkedRange, checkedReductions, frozen, refusePromise } from './checks.js';
import { messageOf } from './module.js';

// Whatever a plugin's code does, it is the plugin that is blamed, by its name and file. What it is given it can read, not change.

/** The modifier with its functions watched: what they throw, and a plan that is none, becomes an error that names it. */
export function guardModifier(modifier: Modifier, file: string): Modifier {
  const { type } = modifier;
  const blame = blamer(type, file);
  return {
    type,
    schema: modifier.schema,
    flows: modifier.flows ?? false,
    ...(modifier.inherits && {
      inherits: options => blame.sync('inherits', () => modifier.inherits!(frozen(options))),
    }),
    ...(modifier.schemes && {
      schemes(options, model) {
        for (const data of [options, model.config, model.modules, model.parts]) frozen<unknown>(data);
        return blame.sync('schemes', () => checkedClaims(modifier.schemes!(options, model), model));
      },
    }),
    plan: (options, part, schemes) =>
      blame.sync(`plan of ${part.id}`, () =>
        checkedPlan(modifier.plan(frozen(options), frozen(part), new Map(schemes)), part),
      ),
    edit(part, context) {
      frozen<unknown>(context.options);
      return blame.async(`edit of ${part.id}`, () => modifier.edit(frozen(part), context));
    },
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
          const { gridRows, gridColumns } = frozen(observation.grid);
          frozen(observation.args);
          return checkedRange(await observer.weightRange!(observation), gridRows * gridColumns);
        }),
    }),
    ...(values && { values: guardValues(values, blame) }),
  };
}

function guardValues(values: ValueObserver<unknown, unknown>, blame: Blamer): ValueObserver<unknown, unknown> {
  return {
    reduce: spec => blame.sync('reduce', () => checkedReductions(values.reduce(frozen<ValueSpec>(spec)))),
    init: spec => blame.sync('init', () => values.init(frozen<ValueSpec>(spec))),
    update: (state, reduced, seen, spec) => blame.sync('update', () => values.update(state, reduced, seen, spec)),
    finish: (state, spec) =>
      blame.sync('finish', () => {
        const result = values.finish(state, spec);
        // the range of a scheme's scales
        return spec.args === null ? result : checkedRange(result, spec.columns / spec.size);
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
        const result = work();
        refusePromise(result);
        return result;
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
