import { isDeepStrictEqual } from 'node:util';
import type { Diagnostic } from '../errors.js';
import type { ModuleScheme, PatternUse } from '../modifiers/modifier.js';
import type { Output } from '../outputs/output.js';
import { planPasses } from '../recipe/passes.js';
import type { Plan } from '../recipe/plan.js';
import { weightedModules } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import type { Estimate } from './estimate.js';
import { runtimeAdvice, type RuntimeAdvice } from './runtimes.js';

export interface ModuleSummary {
  readonly module: string;
  readonly shape: readonly [number, number];
  /** Null: left as it is. */
  readonly scheme: ModuleScheme | null;
  readonly format: string;
  readonly bits_per_weight: number;
  readonly bytes: { readonly before: number; readonly after: number };
  /** Where its tensors are stored when not under its own name. */
  readonly stored_with?: string;
}

/** An attention module whose queries, or what its cache holds, are quantized. */
export interface AttentionSummary {
  readonly module: string;
  readonly queries: QuantizationArgs | null;
  /** Of keys and values. */
  readonly cache: QuantizationArgs;
}

/** Parts, one after the other, through which the calibration data flow alike. */
export interface PassesSummary {
  readonly parts: readonly string[];
  readonly passes: readonly {
    /** Which set of hidden states runs through the part. */
    readonly stream: number;
    /** Modifiers that observe in it. */
    readonly observing: readonly string[];
    /** Modifiers whose edits the part has while it runs. */
    readonly edited: readonly string[];
    /** Whether its hidden states go on to the next part. */
    readonly pushes: boolean;
  }[];
}

/** A plan as data for people and programs: what `plan --json` prints. */
export interface PlanSummary {
  readonly recipe: string;
  readonly model: {
    readonly name: string;
    readonly folder: string;
    readonly architecture: string;
    readonly known: boolean;
    readonly layers: number;
    readonly parameters: number;
    readonly dtype: string;
    readonly tied_embeddings: boolean;
    readonly notes: readonly string[];
  };
  /** Files of the user's whose code runs. */
  readonly plugins: readonly {
    /** As the recipe names it. */
    readonly path: string;
    readonly modifiers: readonly string[];
    readonly observers: readonly string[];
    /** Its own, those that it imports, its schemas. */
    readonly files: readonly { readonly path: string; readonly sha256: string }[];
  }[];
  readonly steps: readonly {
    readonly modifier: string;
    /** Modules that it gives a scheme. */
    readonly modules: number;
    /** Modules whose weight it turns into another one, where it does so. */
    readonly edits?: number;
    /** How codes are rounded, where it makes any. */
    readonly arithmetic?: string;
    readonly patterns: readonly PatternUse[];
  }[];
  readonly modules: readonly ModuleSummary[];
  readonly attention: readonly AttentionSummary[];
  /** What calibration data are for: how many values each observer sees. */
  readonly observed: Readonly<Record<string, number>>;
  /** How they flow; empty where nothing observes. */
  readonly passes: readonly PassesSummary[];
  /** Bytes of all tensors, of the source and of the first output. */
  readonly size: { readonly before: number; readonly after: number };
  /** Of the whole model, from real buffer lengths. */
  readonly bits_per_weight: number;
  /** Of the modules that become codes, scales and zero points included; null when there is none. */
  readonly bits_per_quantized_weight: number | null;
  readonly outputs: readonly {
    readonly format: string;
    readonly folder: string;
    readonly files: readonly { name: string; bytes: number }[];
  }[];
  readonly estimate: { readonly seconds: number; readonly memory_bytes: number; readonly disk_bytes: number };
  readonly runtimes: readonly RuntimeAdvice[];
  readonly warnings: readonly Diagnostic[];
}

/** Says of a plan what people and programs want to know. */
export function summarizePlan(plan: Plan, outputs: readonly Output[], cost: Estimate, recipeName: string): PlanSummary {
  const { model, outcome, steps } = plan;
  const [output] = outputs;
  const tensors = [...model.source.tensors.values()];
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0);
  const before = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const modules = weightedModules(model).map(({ name, weight }): ModuleSummary => {
    const scheme = outcome.schemes.get(name) ?? null;
    const stored = outcome.joined.get(name);
    const elements = weight.rows * weight.columns;
    const size = model.source.tensors.get(weight.tensor)!.bytes;
    const after = scheme?.weights ? (output?.moduleBytes(stored ?? name) ?? 0) : size;
    return {
      module: name,
      shape: [weight.rows, weight.columns],
      scheme,
      format: scheme?.format ?? 'dense',
      bits_per_weight: (after * 8) / elements,
      bytes: { before: weight.tiedTo === undefined ? size : 0, after: stored === undefined ? after : 0 },
      ...(stored === undefined ? {} : { stored_with: stored }),
    };
  });
  const work = plan.parts.flatMap(part => part.steps);
  const coders = new Set(work.flatMap(({ step, codes }) => (codes.length > 0 ? [step.index] : [])));
  const coded = modules.filter(({ scheme, stored_with }) => scheme?.weights && stored_with === undefined);
  const elements = coded.reduce((sum, { shape: [r, c] }) => sum + r * c, 0);
  const edits = (index: number) =>
    work.filter(({ step }) => step.index === index).reduce((sum, { dense }) => sum + dense.length, 0);
  const after = output?.tensorBytes ?? before;
  return {
    recipe: recipeName,
    model: {
      name: model.name,
      folder: model.folder,
      architecture: model.architecture,
      known: model.known,
      layers: model.parts.filter(({ id }) => id.startsWith('layers.')).length,
      parameters,
      dtype: model.dtype,
      tied_embeddings: model.tied,
      notes: model.notes,
    },
    plugins: plan.plugins.list.map(({ named, modifiers: brought, observers, files }) => ({
      path: named,
      modifiers: brought.map(({ type }) => type),
      observers: observers.flatMap(({ names }) => names),
      files: files.map(({ named: path, sha256 }) => ({ path, sha256 })),
    })),
    steps: steps.map(({ index, modifier, options, schemes, patterns }) => ({
      modifier: modifier.type,
      modules: schemes.size,
      ...(edits(index) > 0 && { edits: edits(index) }),
      ...(coders.has(index) && { arithmetic: options['arithmetic'] === 'exact' ? 'exact' : 'reference' }),
      patterns,
    })),
    modules,
    attention: [...outcome.schemes].flatMap(([module, { input_activations: queries, attention }]) =>
      attention === undefined ? [] : [{ module, queries, cache: attention.cache }],
    ),
    observed: countBy(work.flatMap(({ observe }) => observe.map(({ observer }) => observer))),
    passes: summarizePasses(plan),
    size: { before, after },
    bits_per_weight: (after * 8) / parameters,
    bits_per_quantized_weight:
      elements > 0 ? (coded.reduce((sum, { bytes }) => sum + bytes.after, 0) * 8) / elements : null,
    outputs: outputs.map(({ format, folder, files }) => ({ format, folder, files: [...files] })),
    estimate: { seconds: cost.seconds, memory_bytes: cost.memoryBytes, disk_bytes: cost.diskBytes },
    runtimes: runtimeAdvice(
      model.modules.flatMap(({ name, classes }) => {
        const scheme = outcome.schemes.get(name);
        return scheme === undefined ? [] : [{ kind: classes[0]!, scheme }];
      }),
    ),
    warnings: plan.warnings,
  };
}

function summarizePasses(plan: Plan): PassesSummary[] {
  const typesOf = (indices: readonly number[]) => indices.map(index => plan.steps[index]!.modifier.type);
  const groups: { parts: string[]; passes: PassesSummary['passes'] }[] = [];
  for (const [part, passes] of planPasses(plan)?.parts ?? []) {
    const own = passes.map(({ stream, wanted, version, pushes }) => ({
      stream,
      observing: typesOf(wanted),
      edited: typesOf(version),
      pushes,
    }));
    const last = groups.at(-1);
    if (last !== undefined && isDeepStrictEqual(last.passes, own)) last.parts.push(part);
    else groups.push({ parts: [part], passes: own });
  }
  return groups;
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
