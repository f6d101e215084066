import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Graph, Op, Value } from '../../runtime/model/graph.js';
import type { SitePlace } from '../../runtime/model/sites.js';
import { slice } from '../../runtime/model/slice.js';
import type { Stream } from '../forward/stream.js';
import type { WeightLoader } from '../forward/supplies.js';
import { watched, type Watch } from './watch.js';

/**
 * What the experts of a part read. While statistics are collected every expert sees all tokens (llm-compressor's `moe_calibrate_all_experts`), one
 * expert at a time and only when it is asked for, so that neither the weights nor the statistics of all of them are ever in memory.
 */
export class ExpertInputs {
  readonly #streams = new Map<Value, Stream>();

  constructor(
    private readonly graph: Graph,
    private readonly open: (x: Value) => Promise<Stream>,
  ) {}

  /** Keeps what the mixture of a site reads, from the next pass on. */
  async keep({ expert }: SitePlace): Promise<void> {
    const { x } = expert!.mixture.in;
    if (!this.#streams.has(x)) this.#streams.set(x, await this.open(x));
  }

  /** Copies of these values, each behind what it copies, and who takes them. */
  copies(): {
    readonly ops: readonly Op[];
    readonly takers: Map<Value, (tensor: Tensor, batch: number) => Promise<void>>;
  } {
    const ops = [...this.#streams.keys()].map((x): Op => ({
      op: 'scale',
      out: `${x} kept`,
      in: { x },
      with: { factor: 1 },
    }));
    const takers = new Map(
      [...this.#streams].map(
        ([x, stream]) => [`${x} kept`, (tensor: Tensor, batch: number) => stream.next(batch, tensor)] as const,
      ),
    );
    return { ops, takers };
  }

  /** Runs all tokens through one expert. */
  async observe(
    watch: Watch,
    { engine, weights, batches }: { engine: Engine; weights: WeightLoader; batches: Iterable<number> },
    see: (value: Value, tensor: Tensor, batch: number) => Promise<void>,
  ): Promise<void> {
    const { mixture, index } = watch.place.expert!;
    const own = slice(
      watched(mixture.with.body, [watch]),
      watch.ops.map(({ out }) => out),
      new Set(['x']),
    );
    const program = engine.compile(own);
    const sums = watch.inputs(engine);
    const names = own.inputs.filter(input => input !== 'x' && !Object.hasOwn(sums, input));
    const loaded = await weights(`${this.graph.prefix}${mixture.with.prefix}.${index}.`, names);
    const x = this.#streams.get(mixture.in.x)!;
    for (const batch of batches) {
      const values = await program.run({ ...loaded, ...watch.inputs(engine), x: await x.read(batch) });
      for (const [value, tensor] of Object.entries(values)) await see(value, tensor, batch);
    }
  }

  async close(): Promise<void> {
    for (const stream of this.#streams.values()) await stream.close();
    this.#streams.clear();
  }
}
