import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { forwardPeer, tensorpress, type Ran, type Used } from './child.js';
import { writeModel, type LlamaShape } from './model.js';
import type { Bench } from './runs.js';
import { random } from '../../src/numerics/random.js';

/** SmolLM2-135M: 269 MB in bfloat16. */
export const LLAMA_135M: LlamaShape = {
  layers: 30,
  hidden: 576,
  intermediate: 1536,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocabulary: 49152,
};

/** An evaluation: what the whole process used, and how fast it was between start-up and end, by its own clock. */
export interface Evaluated extends Used {
  readonly tokensPerSecond: number;
}

export interface ForwardRow {
  readonly name: 'eval' | 'eval --against' | 'transformers';
  readonly rounds: readonly Evaluated[];
}

export interface ForwardSpeed {
  readonly windows: number;
  readonly context: number;
  readonly rows: readonly ForwardRow[];
}

/** A model over the windows of a file of token ids; the same beside a second model; and in transformers. In a round they take turns. */
export async function benchForward(
  { scratch, rounds, say }: Bench,
  shape: LlamaShape,
  { windows, context, python }: { windows: number; context: number; python: string | undefined },
): Promise<ForwardSpeed> {
  const home = join(scratch, 'forward');
  await mkdir(home);
  try {
    const [model, base, data] = [join(home, 'model'), join(home, 'base'), join(home, 'tokens.json')];
    await writeModel(model, shape, { seed: 1 });
    await writeModel(base, shape, { seed: 2 });
    await writeFile(data, JSON.stringify({ input_ids: tokens(windows, context, shape.vocabulary) }));
    const evaluate = (more: readonly string[]) =>
      tensorpress(
        ['eval', model, '--data', data, '--context', String(context), '--json', '--quiet', '--force', ...more],
        scratch,
      );
    const runs: { name: ForwardRow['name']; run: () => Promise<Ran> }[] = [
      { name: 'eval', run: () => evaluate([]) },
      { name: 'eval --against', run: () => evaluate(['--against', base]) },
    ];
    if (python !== undefined) {
      runs.push({ name: 'transformers', run: () => forwardPeer(python, model, data, scratch) });
    }
    const rows = runs.map(({ name }) => ({ name, rounds: [] as Evaluated[] }));
    for (let round = 1; round <= rounds; round++) {
      for (const [i, { name, run }] of runs.entries()) {
        say(`round ${round} of ${rounds}: ${name}`);
        const { output, ...used } = await run();
        const found = JSON.parse(output) as { tokens_per_second: number };
        rows[i]!.rounds.push({ ...used, tokensPerSecond: found.tokens_per_second });
      }
    }
    return { windows, context, rows };
  } finally {
    await rm(home, { recursive: true });
  }
}

/** Token ids without meaning, the same each time. */
export function tokens(windows: number, context: number, vocabulary: number): number[][] {
  const { uint32 } = random(1, 'tokens');
  return Array.from({ length: windows }, () => Array.from({ length: context }, () => uint32() % vocabulary));
}
