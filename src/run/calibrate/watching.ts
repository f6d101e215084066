import type { Observation } from '../../modifiers/modifier.js';
import type { Observer } from '../../observers/observer.js';
import { valueObserver } from '../../observers/table.js';
import type { Decoder, Graph, Value } from '../../runtime/model/graph.js';
import type { Model } from '../../runtime/model/model.js';
import { headDimOf, placeOf, widthOf, type SitePlace } from '../../runtime/model/sites.js';
import { Watch } from './watch.js';

/** An observation, and where in the graph of its part it is made. */
export interface Placed {
  readonly asked: Observation;
  readonly place: SitePlace;
  /** Equal observations have equal keys: a site has several names. */
  readonly key: string;
}

/** Places observations in the graph of a part. */
export class Watching {
  constructor(
    private readonly graph: Graph,
    private readonly model: Model,
    private readonly decoder: Pick<Decoder, 'hidden'>,
    /** Those of plugins. */
    private readonly observers: readonly Observer[],
  ) {}

  /** @throws Error when the part has no such site */
  place(asked: Observation): Placed {
    const { site, observer, args = null, options = {} } = asked;
    const place = placeOf(this.graph, site);
    const { value, expert } = place;
    const key = JSON.stringify([value, expert?.mixture.with.prefix, expert?.index, observer, args, options]);
    return { asked, place, key };
  }

  watch({ asked, place, key }: Placed): Watch {
    const { observer, args = null, options = {} } = asked;
    const columns = this.width(place);
    const size = args?.strategy === 'attn_head' ? headDimOf(this.graph)! : columns;
    const spec = {
      ...{ columns, size, args, dtype: this.model.dtype },
      options: { ...args?.observer_kwargs, ...options },
    };
    return new Watch(key, place, valueObserver(observer, this.observers)!, spec);
  }

  /** Columns of a value. */
  width({ value, expert }: SitePlace): number {
    const { ops, prefix } = this.graph;
    const rowsIn = (inside: string) => (weight: Value) => this.model.source.tensors.get(inside + weight)!.shape[0]!;
    const outside = (name: Value) => widthOf(ops, name, { hidden: this.decoder.hidden }, rowsIn(prefix));
    if (expert === undefined) return outside(value);
    const { mixture, index } = expert;
    const own = rowsIn(`${prefix}${mixture.with.prefix}.${index}.`);
    return widthOf(mixture.with.body, value, { x: outside(mixture.in.x) }, own);
  }
}
