import { TensorpressError } from '../../errors.js';
import type { Seen, ValueObserver, ValueSpec } from '../../observers/observer.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Op, Value } from '../../runtime/model/graph.js';
import type { SitePlace } from '../../runtime/model/sites.js';
import { floats } from '../forward/supplies.js';

/** Tokens whose products are added up inside the graph before they are folded: folding a matrix costs as much as hundreds of tokens. */
const CHUNK = 4096;

/** An observation while it is made: its reductions inside the graph, and what has been folded so far. */
export class Watch {
  /** Reductions of the value, to be put behind it; values of these names go to `see`. */
  readonly ops: readonly Op[];
  /** What was reduced and not folded yet, and how much data it stands for. */
  readonly #sums = new Map<Value, Tensor>();
  readonly #zeros = new Map<Value, Tensor>();
  #pending: Seen = NOTHING;
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
        : reductions.map((reduction, i): Op => {
            const out = `${key} ${i}`;
            const sum = addsUp(reduction) ? { sum: sumOf(out) } : {};
            return { ...reduction, out, in: { x, ...sum } } as Op;
          });
  }

  /** What `ops` read beside the value: what they add to. */
  inputs(engine: Engine): Record<Value, Tensor> {
    const inputs: Record<Value, Tensor> = {};
    for (const op of this.ops) {
      if (op.op !== 'gram' || op.in.sum === undefined) continue;
      inputs[op.in.sum] = this.#sums.get(op.out) ?? this.#zerosFor(op, engine);
    }
    return inputs;
  }

  /** Takes what one of `ops` made of a batch; the tensor is the watch's from then on. */
  async see(value: Value, tensor: Tensor, seen: Seen): Promise<void> {
    this.#waiting.set(value, tensor);
    if (this.#waiting.size < this.ops.length) return;
    this.#drop(this.#sums);
    for (const [out, waiting] of this.#waiting) this.#sums.set(out, waiting);
    this.#waiting.clear();
    const { tokens, sequences } = this.#pending;
    this.#pending = { tokens: tokens + seen.tokens, sequences: sequences + seen.sequences };
    if (this.#pending.tokens >= CHUNK || !this.ops.every(addsUp)) await this.#fold();
  }

  /** What a sum begins with: kept, since it is as large as the sum. */
  #zerosFor({ out, with: { from, to } }: Op<'gram'>, engine: Engine): Tensor {
    const known = this.#zeros.get(out);
    if (known !== undefined) return known;
    const shape = [to - from, this.#spec.columns - from] as const;
    const zeros = engine.tensor(floats(engine, shape[0] * shape[1]), shape);
    this.#zeros.set(out, zeros);
    return zeros;
  }

  async #fold(): Promise<void> {
    if (this.#pending.tokens === 0) return;
    const reduced = [];
    for (const { out } of this.ops) reduced.push(await this.#sums.get(out)!.read());
    this.#observer.update(this.#state, reduced, this.#pending, this.#spec);
    this.#pending = NOTHING;
    this.#drop(this.#sums);
  }

  #drop(tensors: Map<Value, Tensor>): void {
    tensors.forEach(tensor => tensor.dispose());
    tensors.clear();
  }

  /** @throws TensorpressError TENSOR when nothing was seen, or something that is not finite */
  async finish(site: string): Promise<unknown> {
    await this.#fold();
    this.#drop(this.#zeros);
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

const NOTHING: Seen = { tokens: 0, sequences: 0 };

const sumOf = (out: Value): Value => `${out} before`;

/** Whether a reduction of several batches is made inside the graph: that of a matrix in the engine's own precision. */
function addsUp(reduction: { readonly op: string; readonly with: object }): boolean {
  return reduction.op === 'gram' && !(reduction as Pick<Op<'gram'>, 'with'>).with.exact;
}

/** Ops with the reductions of all watches, each behind the value that it reduces. */
export function watched(ops: readonly Op[], watches: readonly Watch[]): Op[] {
  const behind = (value: Value) => watches.filter(({ place }) => place.value === value).flatMap(watch => watch.ops);
  const made = new Set(ops.map(({ out }) => out));
  const given = new Set(watches.map(({ place }) => place.value).filter(value => !made.has(value)));
  return [...[...given].flatMap(behind), ...ops.flatMap(op => [op, ...behind(op.out)])];
}
