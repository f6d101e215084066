import { DTYPE_BYTES } from '../../numerics/dtypes.js';
import type { Range } from '../../numerics/grid.js';
import type { Claims, Observation, ParameterSpec, PartPlan } from '../../modifiers/modifier.js';
import type { Reduction } from '../../observers/observer.js';
import type { Model, Part } from '../../runtime/model/model.js';

// What the functions of a plugin give. Each check throws a TypeError whose message goes on from "X fails in plan: ".

/** What no function of a plugin that is called synchronously may give: nobody would wait for it. */
export function refusePromise(given: unknown): void {
  if (typeof (given as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function')
    throw new TypeError('it gives a promise, and nobody waits for it: it cannot be async');
}

/** @throws TypeError when they are none, or speak of modules that the model does not have */
export function checkedClaims(given: unknown, model: Model): Claims {
  const { schemes, places, patterns, problems } = asMap(given);
  if (!(schemes instanceof Map && places instanceof Map && Array.isArray(patterns) && Array.isArray(problems)))
    throw new TypeError('it gives no claims; claimSchemes makes them of scheme, targets and ignore');
  const names = new Set(model.modules.map(({ name }) => name));
  for (const [name, scheme] of schemes as Map<unknown, unknown>) {
    if (!names.has(name as string)) throw new TypeError(`it gives a scheme to ${String(name)}, which is no module`);
    const fields = ['weights', 'input_activations', 'output_activations', 'format', 'targets', 'target'];
    const missing = fields.find(field => !(field in asMap(scheme)));
    if (missing !== undefined) throw new TypeError(`the scheme of ${String(name)} has no ${missing}`);
  }
  for (const problem of problems as unknown[]) {
    const { level, path, message } = asMap(problem);
    if (!(level === 'error' || level === 'warning') || !Array.isArray(path) || typeof message !== 'string')
      throw new TypeError('a problem is {level: "error" or "warning", path, message}');
  }
  return given as Claims;
}

const PLANNED = ['codes', 'dense', 'parameters', 'observe', 'refuse'];

/** @throws TypeError when it says something else than a plan does, or speaks of modules that the part does not have */
export function checkedPlan(plan: unknown, part: Part): PartPlan {
  if (typeof plan !== 'object' || plan === null || Array.isArray(plan))
    throw new TypeError('it gives no plan, which is an object');
  const unknown = Object.keys(plan).find(key => !PLANNED.includes(key));
  if (unknown !== undefined) throw new TypeError(`it plans "${unknown}"; a plan holds ${PLANNED.join(', ')}`);
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
  for (const parameter of (parameters ?? []) as Partial<ParameterSpec>[]) checkParameter(parameter, part);
  return plan;
}

function checkParameter(parameter: unknown, { tensors }: Part): void {
  const { name, dtype, shape } = asMap(parameter);
  if (typeof name !== 'string' || typeof dtype !== 'string' || !Array.isArray(shape))
    throw new TypeError('a parameter is {name, dtype, shape}');
  if (tensors.includes(name)) throw new TypeError(`the model has a tensor ${name} already`);
  if (!Object.hasOwn(DTYPE_BYTES, dtype)) throw new TypeError(`the dtype of ${name} is ${dtype}, which there is not`);
  if (!shape.every(size => Number.isSafeInteger(size) && (size as number) >= 0))
    throw new TypeError(`the shape of ${name} is [${shape.join(', ')}]`);
}

const REDUCTIONS: readonly Reduction['op'][] = ['range', 'squares', 'magnitudes', 'gram'];

/** @throws TypeError when they are none that run inside the graph */
export function checkedReductions(given: unknown): readonly Reduction[] {
  if (!Array.isArray(given)) throw new TypeError('it gives no list of reductions');
  for (const reduction of given as unknown[]) {
    const { op, with: constants } = asMap(reduction);
    if (!REDUCTIONS.includes(op as Reduction['op']) || typeof constants !== 'object' || constants === null)
      throw new TypeError(`a reduction is {op, with}, and op one of ${REDUCTIONS.join(', ')}`);
  }
  return given as Reduction[];
}

/** @throws TypeError when it is not a range for every block, finite and the right way round */
export function checkedRange(given: unknown, blocks: number): Range {
  const { min = [], max = [] } = asMap(given) as Partial<Range>;
  if (min.length !== blocks || max.length !== blocks)
    throw new TypeError(`it gives ${min.length} minima and ${max.length} maxima of ${blocks} blocks`);
  for (let b = 0; b < blocks; b++) {
    if (!(Number.isFinite(min[b]) && Number.isFinite(max[b]) && min[b]! <= max[b]!))
      throw new TypeError(`the range of block ${b} is [${min[b]}, ${max[b]}]`);
  }
  return given as Range;
}

function asMap(given: unknown): Record<string, unknown> {
  return typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
}

/**
 * Plain data that its reader cannot change, however deep: a plan, a grid and an option are the run's own. In modules an attempt is a TypeError.
 * @returns its argument
 */
export function frozen<T>(data: T): T {
  if (typeof data !== 'object' || data === null || ArrayBuffer.isView(data) || Object.isFrozen(data)) return data;
  for (const value of Object.values(Object.freeze(data))) frozen<unknown>(value);
  return data;
}
