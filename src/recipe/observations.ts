import { TensorpressError } from '../errors.js';
import type { Observation } from '../modifiers/modifier.js';
import type { Observer } from '../observers/observer.js';
import { valueObserver } from '../observers/table.js';
import { decoderOf } from '../runtime/model/decoder.js';
import type { Graph } from '../runtime/model/graph.js';
import type { Model } from '../runtime/model/model.js';
import { graphOf, placeOf } from '../runtime/model/sites.js';
import type { PartWork } from './plan.js';

/**
 * Sees to it that every observation can be made: there is such an observer, and the part has such a site.
 * @param own observers of plugins
 * @throws TensorpressError PLUGIN, naming the modifier that asks for one that cannot
 */
export function checkObservations(model: Model, parts: readonly PartWork[], own: readonly Observer[]): void {
  if (parts.every(({ steps }) => steps.every(({ observe }) => observe.length === 0))) return;
  const decoder = runnable(model);
  for (const { part, steps } of parts) {
    const graph = decoder && graphOf(decoder, part.id);
    for (const { step, observe } of steps) {
      for (const observation of observe) {
        const problem = observationProblem(observation, graph, own);
        // a model that cannot be run is a finding of its own
        if (problem === undefined || decoder === undefined) continue;
        throw new TensorpressError('PLUGIN', `${step.modifier.type} observes ${observation.site}: ${problem}`, {
          place: { part: part.id },
          hint: 'a site is <module>.input or .output of a Linear, <attention>.q, .k or .v, of the part itself',
        });
      }
    }
  }
}

function observationProblem(
  { site, observer }: Observation,
  graph: Graph | undefined,
  own: readonly Observer[],
): string | undefined {
  if (valueObserver(observer, own) === undefined) return `there is no observer ${observer} of values`;
  if (graph === undefined) return 'nothing can be observed in this part';
  try {
    placeOf(graph, site);
    return undefined;
  } catch {
    return 'the part has no such site';
  }
}

function runnable(model: Model) {
  try {
    return decoderOf(model);
  } catch {
    return undefined;
  }
}
