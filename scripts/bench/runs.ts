import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { median } from '../../src/evaluation/statistics.js';
import { formatBytes } from '../../src/run/units.js';
import { bareNode, copyFolder, peer, tensorpress, type Used } from './child.js';
import { bytesOf, withLayers, writeModel, type LlamaShape } from './model.js';

export const SCHEMES = ['W4A16', 'FP8_DYNAMIC', 'NVFP4A16'] as const;
export type Scheme = (typeof SCHEMES)[number];

export interface Bench {
  /** A folder for models and results, on the disk that is measured. */
  readonly scratch: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
}

/** A run and what it is compared with, one round after the other; in a round, both ran within the same minute. */
export interface Rounds {
  readonly scheme: Scheme;
  readonly run: readonly Used[];
  readonly other: readonly Used[];
}

export interface Speed {
  readonly layers: number;
  readonly modelBytes: number;
  readonly schemes: readonly Rounds[];
}

export interface MemoryRow {
  readonly layers: number;
  readonly modelBytes: number;
  readonly peakBytes: number;
}

/** Seconds. */
export interface Start {
  readonly validate: number;
  readonly node: number;
}

/** Every scheme on one file of that shape, each run right after a copy of it. */
export const benchSpeed = (bench: Bench, shape: LlamaShape, schemes: readonly Scheme[]): Promise<Speed> =>
  compare(bench, shape, Infinity, schemes, (model, out) => copyFolder(model, out, bench.scratch));

/** The same against llm-compressor, on shards of 500 MB, since it works on as many files at once as it has threads. */
export const benchPeer = (
  bench: Bench,
  shape: LlamaShape,
  schemes: readonly Scheme[],
  python: string,
): Promise<Speed> =>
  compare(bench, shape, 5e8, schemes, (model, out, scheme) => peer(python, model, out, scheme, bench.scratch));

function compare(
  bench: Bench,
  shape: LlamaShape,
  shardSize: number,
  schemes: readonly Scheme[],
  other: (model: string, out: string, scheme: Scheme) => Promise<Used>,
): Promise<Speed> {
  return withModel(bench, shape, shardSize, async model => {
    const { rounds, scratch, say } = bench;
    const all = schemes.map(scheme => ({ scheme, run: [] as Used[], other: [] as Used[] }));
    for (let round = 1; round <= rounds; round++) {
      for (const { scheme, ...used } of all) {
        say(`round ${round} of ${rounds}: ${scheme}`);
        used.other.push(await intoNew(scratch, out => other(model, out, scheme)));
        used.run.push(await apply(bench, scheme, model));
      }
    }
    return { layers: shape.layers, modelBytes: bytesOf(shape), schemes: all };
  });
}

/** Peak memory of W4A16 for models that differ in nothing but the number of layers, in shards of 1 GB. */
export async function benchMemory(bench: Bench, layers: readonly number[]): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = [];
  for (const count of layers) {
    const shape = withLayers(count);
    const peakBytes = await withModel(bench, shape, 1e9, async model => {
      const peaks: number[] = [];
      for (let round = 0; round < bench.rounds; round++) peaks.push((await apply(bench, 'W4A16', model)).peakBytes);
      return median(peaks);
    });
    rows.push({ layers: count, modelBytes: bytesOf(shape), peakBytes });
  }
  return rows;
}

/** From the start of `validate` to its end, as a user waits for it, and of Node without anything to do: medians of `times`. */
export async function benchValidate({ scratch }: Bench, times: number): Promise<Start> {
  const recipe = await writeRecipe(scratch, 'W4A16');
  const validate: number[] = [];
  const node: number[] = [];
  for (let i = 0; i < times; i++) {
    validate.push((await tensorpress(['validate', recipe, '--quiet'], scratch)).seconds);
    node.push((await bareNode(scratch)).seconds);
  }
  return { validate: median(validate), node: median(node) };
}

/** Round to nearest by the preset, with its own observer (minmax). */
async function writeRecipe(scratch: string, scheme: Scheme): Promise<string> {
  const path = join(scratch, `${scheme}.yaml`);
  const modifier = `QuantizationModifier: {scheme: ${scheme}, targets: [Linear], ignore: [lm_head]}`;
  await writeFile(path, `version: 1\nmodifiers:\n  - ${modifier}\n`);
  return path;
}

/** A model in a folder of its own, for as long as `use` takes. */
async function withModel<T>(
  { scratch, say }: Bench,
  shape: LlamaShape,
  shardSize: number,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(scratch, 'model');
  say(`writing a model of ${shape.layers} layers, ${formatBytes(bytesOf(shape))}`);
  await writeModel(folder, shape, { shardSize });
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function apply({ scratch }: Bench, scheme: Scheme, model: string): Promise<Used> {
  const recipe = await writeRecipe(scratch, scheme);
  return intoNew(scratch, out => tensorpress(['apply', recipe, '--model', model, '--out', out, '--quiet'], scratch));
}

/** Runs something that fills a new folder, which is removed again. */
async function intoNew(scratch: string, run: (out: string) => Promise<Used>): Promise<Used> {
  const out = join(scratch, 'out');
  try {
    return await run(out);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
