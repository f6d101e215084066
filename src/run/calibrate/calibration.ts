import { TensorpressError } from '../../errors.js';
import type { Observation, Statistics } from '../../modifiers/modifier.js';
import type { Observer, Seen } from '../../observers/observer.js';
import type { Pass, Passes } from '../../recipe/passes.js';
import type { Engine } from '../../runtime/engine/engine.js';
import { readsOf, type Decoder, type Op } from '../../runtime/model/graph.js';
import type { Model, Part } from '../../runtime/model/model.js';
import { graphOf } from '../../runtime/model/sites.js';
import type { Batch } from '../forward/batches.js';
import { embed, type Done } from '../forward/forward.js';
import { runLayer } from '../forward/layer.js';
import { openReader, type Reader } from '../forward/reader.js';
import { openStream, type Storage, type Stream } from '../forward/stream.js';
import { ropeTables, weightLoader, type RunInputs } from '../forward/supplies.js';
import type { DurableStates } from '../journal.js';
import type { PartEdits } from './edits.js';
import { ExpertInputs } from './experts.js';
import { HiddenStates, type SavedStates } from './states.js';
import { watched, type Watch } from './watch.js';
import { Watching } from './watching.js';

export interface CalibrationOptions extends Pick<Storage, 'residentBytes'> {
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

/** Lets data flow from the embedding on. Nothing runs before the first part is entered. */
export function openCalibration(options: CalibrationOptions): Calibration {
  const { engine, decoder, model, batches, passes, folder, residentBytes, tick, observers = [] } = options;
  const storage: Storage = { folder, ...(residentBytes !== undefined && { residentBytes }) };
  const streams = new Map<number, HiddenStates>();
  let reader: Reader = openReader(model, undefined);
  const current: Reader = { shape: tensor => reader.shape(tensor), read: (tensor, how) => reader.read(tensor, how) };
  const weights = weightLoader({ engine, reader: current });
  const tables = ropeTables(engine, decoder);
  const share = (done: Done) => tick(done.share / batches.length);
  const hiddenStates = (stream: number): HiddenStates => {
    const states = new HiddenStates({ engine, folder, stream, batches, width: decoder.hidden });
    streams.set(stream, states);
    return states;
  };
  const seenIn = (batch: number): Seen => ({ tokens: batches[batch]!.ids.length, sequences: batches[batch]!.rows });
  const total = batches
    .map((_, batch) => seenIn(batch))
    .reduce((sum, { tokens, sequences }) => ({
      tokens: sum.tokens + tokens,
      sequences: sum.sequences + sequences,
    }));
  /** Of the part in work. */
  let experts: ExpertInputs | undefined;

  /** Lets weights be read as the steps of a version have left them. */
  const use = (edits: PartEdits, version: readonly number[]) => {
    reader = openReader({ ...model, source: edits.view(step => version.includes(step)) }, undefined);
  };

  return {
    enter(part, edits, observations) {
      const graph = graphOf(decoder, part.id);
      const watching = graph && new Watching(graph, model, decoder, observers);
      const inputs = graph && new ExpertInputs(graph, x => openInput(watching!.width({ value: x })));
      experts = inputs;
      const planned = passes.parts.get(part.id) ?? [];
      /** What was seen, and how many still ask for it. */
      const held = new Map<string, { result: () => Promise<unknown>; claims: number }>();
      let done = 0;

      /** Gets ready to observe what the steps of a pass want: what the pass sees itself, and what experts see when they are asked. */
      const watch = async ({ wanted, version }: Pass): Promise<Watch[]> => {
        const watches: Watch[] = [];
        for (const asked of wanted.flatMap(step => observations.get(step) ?? [])) {
          const placed = watching!.place(asked);
          const known = held.get(placed.key);
          if (known !== undefined) {
            known.claims++;
            continue;
          }
          const own = watching!.watch(placed);
          if (own.place.expert === undefined) watches.push(own);
          else await inputs!.keep(own.place);
          const result = async () => {
            if (own.place.expert === undefined) return own.finish(asked.site);
            use(edits, version);
            await inputs!.observe(own, { engine, weights, batches: batches.keys() }, async (value, tensor, batch) => {
              await own.see(value, tensor, seenIn(batch));
              tick(0);
            });
            return own.finish(asked.site);
          };
          held.set(placed.key, { result: once(result), claims: 1 });
        }
        return watches;
      };

      const run = async (pass: Pass): Promise<void> => {
        use(edits, pass.version);
        const stream = streams.get(pass.stream) ?? hiddenStates(pass.stream);
        if (pass.pushes) await stream.begin(part.id);
        if (part.id === 'embedding') await embed({ engine, decoder, reader: current, batches, tick: share }, stream);
        else if (graph !== undefined) {
          const watches = await watch(pass);
          const { ops, takers: keep } = inputs!.copies();
          for (const own of watches)
            for (const { out } of own.ops) keep.set(out, (tensor, batch) => own.see(out, tensor, seenIn(batch)));
          const layer = { ...graph, ops: behind(watched(graph.ops, watches), ops) };
          const given: RunInputs = (own, batch) =>
            watches.reduce((all, one) => ({ ...all, ...one.inputs(engine) }), tables(own, batch));
          await runLayer(
            { engine, batches, storage, tick: share },
            { layer, part: part.id, stream, weights, tables: given, keep, push: pass.pushes },
          );
        }
        if (pass.pushes) await stream.advance();
      };

      return {
        async statistics(step) {
          for (let pass = planned[done]; pass?.before != null && pass.before <= step; pass = planned[++done])
            await run(pass);
          return {
            seen: total,
            async take<Result>(asked: Observation): Promise<Result> {
              const key = watching?.place(asked).key ?? '';
              const found = held.get(key);
              if (found === undefined) throw unannounced(asked, part);
              const result = await found.result();
              if (--found.claims === 0) held.delete(key);
              return result as Result;
            },
          };
        },
        async end() {
          for (; done < planned.length; done++) await run(planned[done]!);
          await inputs?.close();
          held.clear();
          return planned.flatMap(({ pushes, stream }) => (pushes ? [{ stream, generation: part.id }] : []));
        },
      };
    },
    async resume(saved) {
      for (const { stream, generation, sha256 } of saved) await hiddenStates(stream).resume(generation, sha256);
    },
    async close() {
      await experts?.close();
      for (const stream of streams.values()) await stream.close();
    },
  };

  function openInput(width: number): Promise<Stream> {
    return openStream(engine, { ...storage, batches, width });
  }
}

/** All who take it get the same. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** Each copy behind what it copies. */
function behind(ops: readonly Op[], copies: readonly Op[]): Op[] {
  return ops.flatMap(op => [op, ...copies.filter(copy => readsOf(copy).includes(op.out))]);
}

function unannounced({ observer, site }: Observation, { id }: Part): TensorpressError {
  return new TensorpressError('PLUGIN', `${observer} of ${site} was not announced`, {
    place: { part: id },
    hint: 'a modifier takes what its plan of the part names under observe',
  });
}
