import { TensorpressError } from '../../errors.js';
import type { Observation, Statistics } from '../../modifiers/modifier.js';
import { valueObserver } from '../../observers/table.js';
import type { Observer, Seen } from '../../observers/observer.js';
import type { Pass, Passes } from '../../recipe/passes.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Decoder, Graph, Op, Value } from '../../runtime/model/graph.js';
import type { Model, Part } from '../../runtime/model/model.js';
import { graphOf, headDimOf, placeOf, widthOf, type SitePlace } from '../../runtime/model/sites.js';
import { slice } from '../../runtime/model/slice.js';
import type { Batch } from '../forward/batches.js';
import { embed } from '../forward/forward.js';
import { runLayer } from '../forward/layer.js';
import { openReader, type Reader } from '../forward/reader.js';
import type { DurableStates } from '../journal.js';
import { openStream, type Stream } from '../forward/stream.js';
import { ropeTables, weightLoader } from '../forward/supplies.js';
import type { PartEdits } from './edits.js';
import { HiddenStates, type SavedStates } from './states.js';
import { watched, Watch } from './watch.js';

export interface CalibrationOptions {
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly model: Model;
  readonly batches: readonly Batch[];
  readonly passes: Passes;
  /** Those of plugins. */
  readonly observers?: readonly Observer[];
  /** Where hidden states lie between parts: the state folder of the run. */
  readonly folder: string;
  /** Called between pieces of work, with the share of a pass over the part that is done: may throw to stop. */
  readonly tick: (share: number) => void;
}

/** What flows through the parts of a model while it is edited. Parts are entered in their order. */
export interface Calibration {
  /** @param observations what each step wants of the part */
  enter(part: Part, edits: PartEdits, observations: ReadonlyMap<number, readonly Observation[]>): PartCalibration;
  /** Goes on behind a part that an earlier attempt has finished. */
  resume(saved: readonly DurableStates[]): Promise<void>;
  close(): Promise<void>;
}

export interface PartCalibration {
  /** Runs what has to run before a step edits, and lends it what was seen. */
  statistics(step: number): Promise<Statistics>;
  /** Pushes what is still to be pushed, and saves it. */
  end(): Promise<SavedStates[]>;
}

export function openCalibration(options: CalibrationOptions): Calibration {
  const { engine, decoder, model, batches, passes, folder, tick, observers = [] } = options;
  const streams = new Map<number, HiddenStates>();
  let reader: Reader = openReader(model, undefined);
  const current: Reader = { shape: tensor => reader.shape(tensor), read: (tensor, how) => reader.read(tensor, how) };
  const weights = weightLoader({ engine, reader: current });
  const tables = ropeTables(engine, decoder);
  const hiddenStates = (stream: number): HiddenStates => {
    const states = new HiddenStates({ engine, folder, stream, batches, width: decoder.hidden });
    streams.set(stream, states);
    return states;
  };
  const newStream = (width: number) => openStream(engine, { batches, width, folder });
  const total: Seen = {
    tokens: batches.reduce((sum, { ids }) => sum + ids.length, 0),
    sequences: batches.reduce((sum, { rows }) => sum + rows, 0),
  };
  const seenIn = (batch: number): Seen => ({ tokens: batches[batch]!.ids.length, sequences: batches[batch]!.rows });

  /** Lets weights be read as the steps of a version have left them. */
  const use = (edits: PartEdits, version: readonly number[]) => {
    reader = openReader({ ...model, source: edits.view(step => version.includes(step)) }, undefined);
  };

  return {
    enter(part, edits, observations) {
      const graph = graphOf(decoder, part.id);
      const planned = passes.parts.get(part.id) ?? [];
      /** What was seen, and how many still ask for it. */
      const held = new Map<string, { result: () => Promise<unknown>; claims: number }>();
      const kept: Stream[] = [];
      let done = 0;

      const run = async (pass: Pass): Promise<void> => {
        use(edits, pass.version);
        if (part.id === 'embedding') {
          const stream = hiddenStates(pass.stream);
          await stream.begin(part.id);
          await embed(
            { engine, decoder, reader: current, batches, tick: ({ share }) => tick(share / batches.length) },
            stream,
          );
          await stream.advance();
          return;
        }
        if (graph === undefined) return;
        const wanted = pass.wanted.flatMap(step => (observations.get(step) ?? []).map(asked => ({ step, asked })));
        const watches = new Map<string, Watch>();
        /** Experts see all tokens, one expert at a time and only when it is asked for; what they read is kept. */
        const inputs = new Map<Value, Stream>();
        for (const { asked } of wanted) {
          const place = placeOf(graph, asked.site);
          const key = keyOf(place, asked);
          const known = held.get(key);
          if (known !== undefined) {
            known.claims++;
            continue;
          }
          if (place.expert === undefined) {
            const watch = watchOf(graph, asked, place);
            watches.set(key, watch);
            held.set(key, { result: once(() => Promise.resolve(watch.finish(asked.site))), claims: 1 });
          } else {
            const x = place.expert.mixture.in.x;
            if (!inputs.has(x)) {
              const stream = await newStream(widthIn(graph, x));
              inputs.set(x, stream);
              kept.push(stream);
            }
            const version = pass.version;
            held.set(key, {
              claims: 1,
              result: once(() => {
                use(edits, version);
                return throughExpert(graph, asked, place, inputs.get(x)!);
              }),
            });
          }
        }
        const copies = [...inputs.keys()].map((x): Op => ({
          op: 'scale',
          out: `${x} kept`,
          in: { x },
          with: { factor: 1 },
        }));
        const all = [...watches.values()];
        const keep = new Map<Value, (tensor: Tensor, batch: number) => Promise<void>>();
        for (const watch of all)
          for (const { out } of watch.ops) keep.set(out, (tensor, batch) => watch.see(out, tensor, seenIn(batch)));
        for (const [x, stream] of inputs) keep.set(`${x} kept`, (tensor, batch) => stream.next(batch, tensor));
        const stream = streams.get(pass.stream)!;
        if (pass.pushes) await stream.begin(part.id);
        await runLayer(
          { engine, batches, storage: { folder }, tick: ({ share }) => tick(share / batches.length) },
          {
            layer: { ...graph, ops: withCopies(watched(graph.ops, all), copies) },
            part: part.id,
            stream,
            weights,
            tables,
            keep,
            push: pass.pushes,
          },
        );
        if (pass.pushes) await stream.advance();
      };

      const watchOf = (own: Graph, asked: Observation, place: SitePlace): Watch => {
        const { observer, args = null, options = {} } = asked;
        const key = keyOf(place, asked);
        const columns = place.expert === undefined ? widthIn(own, place.value) : widthInExpert(own, place);
        const size = args?.strategy === 'attn_head' ? headDimOf(own)! : columns;
        const spec = { columns, size, args, dtype: model.dtype, options: { ...args?.observer_kwargs, ...options } };
        return new Watch(key, place, valueObserver(observer, observers)!, spec);
      };

      /** All tokens through one expert. */
      const throughExpert = async (own: Graph, asked: Observation, place: SitePlace, x: Stream): Promise<unknown> => {
        const { mixture, index } = place.expert!;
        const watch = watchOf(own, asked, place);
        const ops = watched(mixture.with.body, [watch]);
        const reductions = slice(
          ops,
          watch.ops.map(({ out }) => out),
          new Set(['x']),
        );
        const program = engine.compile(reductions);
        const names = reductions.inputs.filter(input => input !== 'x');
        const loaded = await weights(`${own.prefix}${mixture.with.prefix}.${index}.`, names);
        for (const b of batches.keys()) {
          const values = await program.run({ ...loaded, x: await x.read(b) });
          for (const [value, tensor] of Object.entries(values)) await watch.see(value, tensor, seenIn(b));
          tick(0);
        }
        return watch.finish(asked.site);
      };

      const rowsOf = (prefix: string) => (weight: Value) => model.source.tensors.get(prefix + weight)!.shape[0]!;
      const widthIn = (own: Graph, value: Value) =>
        widthOf(own.ops, value, { hidden: decoder.hidden }, rowsOf(own.prefix));
      const widthInExpert = (own: Graph, { value, expert }: SitePlace) => {
        const { mixture, index } = expert!;
        const given = { x: widthIn(own, mixture.in.x) };
        return widthOf(mixture.with.body, value, given, rowsOf(`${own.prefix}${mixture.with.prefix}.${index}.`));
      };

      return {
        async statistics(step) {
          for (
            ;
            planned[done]?.before !== null && planned[done] !== undefined && planned[done]!.before! <= step;
            done++
          )
            await run(planned[done]!);
          return {
            seen: total,
            async take<Result>(observation: Observation): Promise<Result> {
              const key = graph === undefined ? '' : keyOf(placeOf(graph, observation.site), observation);
              const found = held.get(key);
              if (found === undefined) {
                throw new TensorpressError(
                  'PLUGIN',
                  `${observation.observer} of ${observation.site} was not announced`,
                  {
                    place: { part: part.id },
                    hint: 'a modifier takes what its plan of the part names under observe',
                  },
                );
              }
              const result = await found.result();
              if (--found.claims === 0) held.delete(key);
              return result as Result;
            },
          };
        },
        async end() {
          for (; done < planned.length; done++) await run(planned[done]!);
          for (const stream of kept) await stream.close();
          held.clear();
          return planned.flatMap(({ pushes, stream }) => (pushes ? [{ stream, generation: part.id }] : []));
        },
      };
    },
    async resume(saved) {
      for (const { stream, generation, sha256 } of saved) await hiddenStates(stream).resume(generation, sha256);
    },
    async close() {
      for (const stream of streams.values()) await stream.close();
    },
  };
}

/** All who take it get the same. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** Equal observations have equal keys: a site has several names. */
function keyOf({ value, expert }: SitePlace, { observer, args, options }: Observation): string {
  return JSON.stringify([value, expert?.mixture.with.prefix, expert?.index, observer, args ?? null, options ?? {}]);
}

/** Each copy behind what it copies. */
function withCopies(ops: readonly Op[], copies: readonly Op[]): Op[] {
  return ops.flatMap(op => [op, ...copies.filter(copy => (copy as Op<'scale'>).in.x === op.out)]);
}
