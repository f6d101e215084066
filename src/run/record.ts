import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Source } from '../formats/source.js';
import type { ApplyOptions } from './apply.js';
import type { PartResult } from './execute.js';
import { hashFile, pathIn, sha256, type FileHash } from './hash.js';
import type { Inputs } from './inputs.js';
import type { Prepared } from './prepare.js';
import type { Report } from './report.js';
import { VERSION } from './version.js';
import { tensorPieces } from './weights.js';

/** Everything that a run writes but run.json, relative to its folder. */
export function runFiles({ outputs }: Prepared, { carried }: Inputs, folder: string): string[] {
  const perOutput = outputs.flatMap(({ files, folder: at }) =>
    ['config.json', 'README.md', ...files.map(({ name }) => name)].map(name => pathIn(folder, join(at, name))),
  );
  const files = [
    ...perOutput,
    ...carried.map(({ to }) => to),
    'recipe.yaml',
    'report.json',
    'report.md',
    'report.html',
  ];
  return files.sort();
}

/**
 * Hashes of files, whose paths are relative to the run folder, in their order.
 * @throws TensorpressError TENSOR when one cannot be read
 */
export async function hashOutputs(folder: string, files: readonly string[]): Promise<FileHash[]> {
  const hashes: FileHash[] = [];
  for (const file of files) hashes.push(await hashFile(join(folder, file), file));
  return hashes;
}

/** Hashes of all source tensors; those that the run had no use for (a second copy of tied embeddings) are inputs all the same. */
export async function hashSources(source: Source, results: readonly PartResult[]): Promise<Map<string, string>> {
  const hashes = new Map(results.flatMap(({ record }) => Object.entries(record.sources)));
  for (const tensor of source.tensors.values()) {
    if (hashes.has(tensor.name)) continue;
    const hash = createHash('sha256');
    for (const { rows } of tensorPieces(tensor)) hash.update(await source.read(tensor.name, rows));
    hashes.set(tensor.name, hash.digest('hex'));
  }
  return hashes;
}

export interface Outcome {
  readonly results: readonly PartResult[];
  readonly sources: ReadonlyMap<string, string>;
  readonly written: readonly FileHash[];
  readonly report: Report;
  /** SHA-256. */
  readonly fingerprint: string;
}

/** run.json: what went in, what came out, and what is needed to do it again. */
export function runRecord(
  { plan, summary, commit }: Prepared,
  { recipeFile, config, carried }: Inputs,
  { recipe, set, threads, engine, device }: ApplyOptions,
  { results, sources, written, report, fingerprint }: Outcome,
) {
  const { model } = plan;
  const small = new Map([recipeFile, config, ...carried.map(({ hash }) => hash)].map(hash => [hash.path, hash]));
  const weights = model.source.files.map(({ path, bytes }) => ({
    path,
    sha256: treeHash(model.source, path, sources),
    bytes,
    tree: true,
  }));
  return {
    version: 1,
    tensorpress: VERSION,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    date: report.date,
    fingerprint,
    model: { name: model.name, folder: model.folder, ...(commit === undefined ? {} : { commit }) },
    recipe,
    options: { set: set ?? [], threads: threads ?? null, engine: engine ?? null, device: device ?? null },
    seeds: { recipe: plan.recipe.calibration?.seed ?? 0 },
    inputs: [...small.values(), ...weights],
    outputs: written.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    observers: Object.fromEntries([
      ...results.flatMap(({ record }) =>
        Object.entries(record.modules).map(([name, { observer }]) => [name, observer] as const),
      ),
      ...plan.parts.flatMap(({ steps }) =>
        steps.flatMap(({ observe }) => observe.map(({ site, observer }) => [site, observer] as const)),
      ),
    ]),
    ...(report.calibration && { calibration: report.calibration }),
    estimate: summary.estimate,
    timings: { seconds: report.seconds },
    peak_memory_bytes: report.peak_memory_bytes,
  };
}

/** SHA-256 over the sorted lines `name dtype shape sha256` of a file's tensors, each ended by a newline; shape as JSON. */
function treeHash({ tensors }: Source, file: string, hashes: ReadonlyMap<string, string>): string {
  const lines = [...tensors.values()]
    .filter(tensor => tensor.file === file)
    .map(({ name, dtype, shape }) => `${name} ${dtype} ${JSON.stringify(shape)} ${hashes.get(name)}\n`)
    .sort();
  return sha256(lines.join(''));
}
