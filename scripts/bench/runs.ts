import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/run/units.js';
import { copyFolder, tensorpress, type Used } from './child.js';
import { bytesOf, withLayers, writeModel, type LlamaShape } from './model.js';

const SCHEMES = ['W4A16', 'FP8_DYNAMIC', 'NVFP4A16'] as const;
type Scheme = (typeof SCHEMES)[number];

/** Round to nearest by the preset, with its own observer (minmax). */
async function writeRecipe(scratch: string, scheme: Scheme): Promise<string> {
  const path = join(scratch, `${scheme}.yaml`);
  const modifier = `QuantizationModifier: {scheme: ${scheme}, targets: [Linear], ignore: [lm_head]}`;
  await writeFile(path, `version: 1\nmodifiers:\n  - ${modifier}\n`);
  return path;
}

/** Times of one job against those of the copies that ran before it. */
export interface SpeedRow {
  readonly scheme: Scheme;
  /** Medians. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly copySeconds: number;
  /** Of the rounds. */
  readonly ratio: readonly [median: number, lowest: number, highest: number];
}

export interface Speed {
  readonly layers: number;
  readonly modelBytes: number;
  readonly rounds: number;
  readonly schemes: readonly SpeedRow[];
}

export interface MemoryRow {
  readonly layers: number;
  readonly modelBytes: number;
  readonly peakBytes: number;
}

export interface Bench {
  /** A folder for models and results, on the disk that is measured. */
  readonly scratch: string;
  readonly rounds: number;
  readonly say: (text: string) => void;
}

/** Every scheme on a model of that shape, each run right after a copy of the model, so that both see the same machine. */
export function benchSpeed(bench: Bench, shape: LlamaShape): Promise<Speed> {
  return withModel(bench, shape, Infinity, async model => {
    const { rounds, scratch, say } = bench;
    const runs = new Map(SCHEMES.map(scheme => [scheme, [] as { copy: Used; run: Used }[]]));
    for (let round = 1; round <= rounds; round++) {
      for (const scheme of SCHEMES) {
        say(`round ${round} of ${rounds}: ${scheme}`);
        const copy = await intoNew(scratch, out => copyFolder(model, out, scratch));
        runs.get(scheme)!.push({ copy, run: await apply(bench, scheme, model) });
      }
    }
    const schemes = SCHEMES.map((scheme): SpeedRow => {
      const all = runs.get(scheme)!;
      const ratios = all.map(({ copy, run }) => run.seconds / copy.seconds);
      return {
        scheme,
        seconds: median(all.map(({ run }) => run.seconds)),
        cpuSeconds: median(all.map(({ run }) => run.cpuSeconds)),
        copySeconds: median(all.map(({ copy }) => copy.seconds)),
        ratio: [median(ratios), Math.min(...ratios), Math.max(...ratios)],
      };
    });
    return { layers: shape.layers, modelBytes: bytesOf(shape), rounds, schemes };
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

/** From the start of `validate` to its end, as a user waits for it: the median of `times`. */
export async function benchValidate({ scratch }: Bench, times: number): Promise<number> {
  const recipe = await writeRecipe(scratch, 'W4A16');
  const seconds: number[] = [];
  for (let i = 0; i < times; i++) seconds.push((await tensorpress(['validate', recipe, '--quiet'], scratch)).seconds);
  return median(seconds);
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

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
