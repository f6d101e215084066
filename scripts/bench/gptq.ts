import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { gptqPeer, tensorpress, type Ran, type Used } from './child.js';
import { tokens } from './forward.js';
import { writeModel, type LlamaShape } from './model.js';
import type { Bench } from './runs.js';

export interface GptqRow {
  readonly name: 'tensorpress' | 'llm-compressor';
  /** Of the whole process. */
  readonly rounds: readonly Used[];
}

export interface GptqSpeed {
  readonly layers: number;
  readonly rows: number;
  readonly length: number;
  readonly runs: readonly GptqRow[];
  /** Peak memory of models of different depth. */
  readonly depths: readonly { readonly layers: number; readonly peakBytes: number }[];
}

const RECIPE = `version: 1
modifiers:
  - GPTQModifier:
      config_groups: {all: {targets: [Linear], weights: {num_bits: 4, strategy: group, group_size: 64}}}
      ignore: [lm_head]
calibration: {dataset: ./tokens.json, samples: 128, shuffle: false}
`;

/** The same for llm-compressor. */
const PEER_RECIPE = `bench_stage:
  bench_modifiers:
    GPTQModifier:
      config_groups: {all: {targets: [Linear], weights: {num_bits: 4, strategy: group, group_size: 64}}}
      ignore: [lm_head]
`;

/** GPTQ at 4 bits on a random model and random tokens; the same in llm-compressor. In a round they take turns. */
export async function benchGptq(
  { scratch, rounds, say }: Bench,
  shape: LlamaShape,
  {
    rows,
    length,
    depths,
    python,
  }: { rows: number; length: number; depths: readonly number[]; python: string | undefined },
): Promise<GptqSpeed> {
  const home = join(scratch, 'gptq');
  await mkdir(home);
  try {
    const [model, recipe, data, out] = ['model', 'recipe.yaml', 'tokens.json', 'out'].map(name => join(home, name)) as [
      string,
      string,
      string,
      string,
    ];
    await writeModel(model, shape, { seed: 1 });
    await writeFile(recipe, RECIPE);
    await writeFile(data, JSON.stringify({ input_ids: tokens(rows, length, shape.vocabulary) }));
    const programs: { name: GptqRow['name']; run: () => Promise<Ran> }[] = [
      {
        name: 'tensorpress',
        run: () => tensorpress(['apply', recipe, '--model', model, '--out', out, '--quiet'], scratch),
      },
    ];
    if (python !== undefined) {
      const theirs = join(home, 'peer.yaml');
      await writeFile(theirs, PEER_RECIPE);
      const args = [model, theirs, data, String(rows), out];
      programs.push({ name: 'llm-compressor', run: () => gptqPeer(python, args, scratch) });
    }
    const runs = programs.map(({ name }) => ({ name, rounds: [] as Used[] }));
    for (let round = 1; round <= rounds; round++) {
      for (const [i, { name, run }] of programs.entries()) {
        say(`round ${round} of ${rounds}: GPTQ, ${name}`);
        runs[i]!.rounds.push(await run());
        await rm(out, { recursive: true, force: true });
      }
    }
    const peaks: GptqSpeed['depths'][number][] = [];
    for (const layers of depths) {
      say(`GPTQ, ${layers} layers`);
      const deep = join(home, `model-${layers}`);
      await writeModel(deep, { ...shape, layers, vocabulary: 4096 }, { seed: 1 });
      await writeFile(data, JSON.stringify({ input_ids: tokens(16, length, 4096) }));
      // a small model would get fewer threads, and each has memory of its own
      const args = [
        'apply',
        recipe,
        '--model',
        deep,
        '--out',
        out,
        '--quiet',
        '--threads',
        String(availableParallelism()),
      ];
      const { peakBytes } = await tensorpress(args, scratch);
      peaks.push({ layers, peakBytes });
      for (const folder of [deep, out]) await rm(folder, { recursive: true });
    }
    return { layers: shape.layers, rows, length, runs, depths: peaks };
  } finally {
    await rm(home, { recursive: true });
  }
}
