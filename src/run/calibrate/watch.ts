import { TensorpressError } from '../../errors.js';
import type { Seen, ValueObserver, ValueSpec } from '../../observers/observer.js';
import type { Tensor } from '../../runtime/engine/engine.js';
import type { Op, Value } from '../../runtime/model/graph.js';
import type { SitePlace } from '../../runtime/model/sites.js';

/** An observation while it is made: its reductions inside the graph, and what has been folded so far. */
export class Watch {
  /** Reductions of the value, to be put behind it; values of these names go to `see`. */
  readonly ops: readonly Op[];
  readonly #observer: ValueObserver<unknown, unknown>;
  readonly #spec: ValueSpec;
  readonly #state: unknown;
  readonly #waiting = new Map<Value, Tensor>();

  /** @param key names it, and is unique among all watches of a graph */
  constructor(
    readonly key: string,
    readonly place: SitePlace,
    observer: ValueObserver<unknown, unknown>,
    spec: ValueSpec,
  ) {
    this.#observer = observer;
    this.#spec = spec;
    this.#state = this.#observer.init(spec);
    const reductions = this.#observer.reduce(spec);
    const x = place.value;
    this.ops =
      reductions.length === 0
        ? // a copy, since the value itself may be wanted elsewhere
          [{ op: 'scale', out: `${key} 0`, in: { x }, with: { factor: 1 } }]
        : reductions.map((reduction, i): Op => ({ ...reduction, out: `${key} ${i}`, in: { x } }) as Op);
  }

  /** Takes what one of `ops` made of a batch; the tensor is the watch's from then on. */
  async see(value: Value, tensor: Tensor, seen: Seen): Promise<void> {
    this.#waiting.set(value, tensor);
    if (this.#waiting.size < this.ops.length) return;
    const tensors = this.ops.map(({ out }) => this.#waiting.get(out)!);
    this.#waiting.clear();
    const reduced = [];
    for (const waiting of tensors) reduced.push(await waiting.read());
    this.#observer.update(this.#state, reduced, seen, this.#spec);
    for (const waiting of tensors) waiting.dispose();
  }

  /** @throws TensorpressError TENSOR when nothing was seen, or something that is not finite */
  finish(site: string): unknown {
    try {
      return this.#observer.finish(this.#state, this.#spec);
    } catch (error) {
      if (!(error instanceof TensorpressError)) throw error;
      throw new TensorpressError(error.code, `${site}: ${error.message}`, {
        place: { ...error.place, module: site },
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      });
    }
  }
}

/** Ops with the reductions of all watches, each behind the value that it reduces. */
export function watched(ops: readonly Op[], watches: readonly Watch[]): Op[] {
  const behind = (value: Value) => watches.filter(({ place }) => place.value === value).flatMap(watch => watch.ops);
  const made = new Set(ops.map(({ out }) => out));
  const given = new Set(watches.map(({ place }) => place.value).filter(value => !made.has(value)));
  return [...[...given].flatMap(behind), ...ops.flatMap(op => [op, ...behind(op.out)])];
}
