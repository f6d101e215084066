import type { Plan } from './plan.js';

/** The passes of a plan; undefined when none of its modifiers observes anything. */
export function planPasses({ parts, recipe }: Pick<Plan, 'parts' | 'recipe'>): Passes | undefined {
  if (parts.every(({ steps }) => steps.every(({ observe }) => observe.length === 0))) return undefined;
  return passesOf(
    parts.map(({ part: { id }, steps }) => ({
      id,
      steps: steps.map(({ step: { index, flows }, observe, codes, dense }) => ({
        step: { index, flows },
        observes: observe.length > 0,
        edits: codes.length + dense.length > 0,
      })),
    })),
    recipe.calibration?.propagate ?? 'compressed',
  );
}

/** What `passesOf` needs of a step. */
export interface PassStep {
  readonly index: number;
  /** Whether its edits change what later parts see. */
  readonly flows: boolean;
}

/** What `passesOf` needs of a part, in the order of the model. */
export interface PassPart {
  readonly id: string;
  readonly steps: readonly {
    readonly step: PassStep;
    /** Whether it observes this part. */
    readonly observes: boolean;
    /** Whether it edits weights of this part. */
    readonly edits: boolean;
  }[];
}

/** One set of hidden states: those of the model with the edits of some steps in it. */
export interface StreamPlan {
  readonly id: number;
  /** Steps whose edits the earlier parts have. */
  readonly edits: readonly number[];
}

/** One run of all batches through a part. */
export interface Pass {
  readonly stream: number;
  /** Steps whose edits the part has while it runs. */
  readonly version: readonly number[];
  /** Steps that observe in it. */
  readonly wanted: readonly number[];
  /** The step before which it runs; null: after all of them. */
  readonly before: number | null;
  /** Whether its hidden states go on to the next part. */
  readonly pushes: boolean;
}

export interface Passes {
  readonly streams: readonly StreamPlan[];
  /** By part; parts through which nothing flows any more have none. */
  readonly parts: ReadonlyMap<string, readonly Pass[]>;
}

/**
 * Which passes a calibrated run makes. Each step sees what one full pass of its own over the model would show it, with the steps before it carried
 * out (llm-compressor's `independent` pipeline), in one walk over the parts:
 *
 * In earlier parts a step sees the edits of the flowing steps before it and, if `compressed`, its own. In its own part it sees those before it
 * only. So a step observes (stream, version), a stream is pushed on with all of its edits in the part, and passes that are equal are one:
 * round to nearest alone needs one pass per part, GPTQ two.
 */
export function passesOf(parts: readonly PassPart[], propagate: 'compressed' | 'original'): Passes {
  const flowing = new Set<number>();
  for (const { steps } of parts) for (const { step, edits } of steps) if (edits && step.flows) flowing.add(step.index);
  const seenBy = (index: number): number[] =>
    [...flowing]
      .filter(other => other < index || (other === index && propagate === 'compressed'))
      .sort((a, b) => a - b);

  const streams: StreamPlan[] = [];
  /** Index of the last part that someone observes, by stream. */
  const last = new Map<number, number>();
  const streamOf = (index: number): StreamPlan => {
    const edits = seenBy(index);
    let stream = streams.find(known => known.edits.join() === edits.join());
    if (stream === undefined) streams.push((stream = { id: streams.length, edits }));
    return stream;
  };
  parts.forEach(({ steps }, at) => {
    for (const { step, observes } of steps) if (observes) last.set(streamOf(step.index).id, at);
  });

  const found = new Map<string, readonly Pass[]>();
  parts.forEach(({ id, steps }, at) => {
    const editing = new Set(steps.filter(({ edits, step }) => edits && step.flows).map(({ step }) => step.index));
    const passes: Pass[] = [];
    for (const { step, observes } of steps) {
      if (!observes) continue;
      const stream = streamOf(step.index).id;
      const version = [...editing].filter(other => other < step.index);
      const same = passes.findIndex(pass => pass.stream === stream && pass.version.join() === version.join());
      if (same < 0) passes.push({ stream, version, wanted: [step.index], before: step.index, pushes: false });
      else passes[same] = { ...passes[same]!, wanted: [...passes[same]!.wanted, step.index] };
    }
    for (const { id: stream, edits } of streams) {
      if (at >= (last.get(stream) ?? -1)) continue;
      const version = edits.filter(index => editing.has(index));
      const same = passes.findIndex(pass => pass.stream === stream && pass.version.join() === version.join());
      if (same < 0) passes.push({ stream, version, wanted: [], before: null, pushes: true });
      else passes[same] = { ...passes[same]!, pushes: true };
    }
    if (passes.length > 0) found.set(id, passes);
  });
  return { streams, parts: found };
}
