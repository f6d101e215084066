import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ComparedEvaluation } from '../../src/run/evaluate.js';
import type { Report } from '../../src/run/report.js';
import { calibrationRows, evaluationRows, type TokenRows } from '../../src/runtime/text/texts.js';
import { loadTokenizer } from '../../src/runtime/text/tokenizer.js';
import type { Row } from './rows.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const MODEL = here('../../examples/tiny-llama');
const DATA = here('../../examples/data');
const PROGRAM = here('../../bin/tensorpress.js');
const PEER = here('./peer.py');

/** Tokens of a window that is judged. */
export const CONTEXT = 128;
/** Rows of calibration data as the recipes ask for them. */
const CALIBRATION = { samples: 128, sequenceLength: 512, shuffle: true };

/** A checkpoint, judged against the example model. */
export interface Judged {
  readonly seconds: number;
  readonly quality: ComparedEvaluation;
}

export interface Own extends Judged {
  readonly report: Report;
}

/**
 * Writes the token rows that both programs read and all checkpoints are judged on, in `scratch`, and gives what carries out a row of a table.
 * Everything is a process of its own, one at a time; seconds go from its start to its end.
 */
export async function workshop(scratch: string, windows: number) {
  const [recipe, calibration, test, out] = ['recipe.json', 'calibration.json', 'test.json', 'out'].map(name =>
    join(scratch, name),
  ) as [string, string, string, string];
  const config = JSON.parse(await readFile(join(MODEL, 'config.json'), 'utf8')) as { vocab_size: number };
  const vocabulary = config.vocab_size;
  const text = { vocabulary, tokenizer: () => loadTokenizer(MODEL, { vocabulary }) };
  await writeRows(
    calibration,
    await calibrationRows(join(DATA, 'wikitext2-calibration.txt'), { ...CALIBRATION, ...text }),
  );
  await writeRows(
    test,
    await evaluationRows(join(DATA, 'wikitext2-test-excerpt.txt'), { context: CONTEXT, windows, ...text }),
  );

  const judge = async (seconds: number): Promise<Judged> => {
    const { output } = await program(['eval', out, '--against', MODEL, '--data', test, '--context', String(CONTEXT)]);
    await rm(out, { recursive: true });
    return { seconds, quality: output as ComparedEvaluation };
  };
  return {
    async own({ modifiers, samples }: Row): Promise<Own> {
      const data = samples === undefined ? {} : { calibration: { dataset: calibration, samples, shuffle: false } };
      await writeFile(recipe, JSON.stringify({ version: 1, modifiers, ...data }));
      const { seconds, output } = await program(['apply', recipe, '--model', MODEL, '--out', out]);
      return { ...(await judge(seconds)), report: output as Report };
    },
    /** By llm-compressor, in whose form a recipe has stages. */
    async peer({ modifiers, samples = 0 }: Row, python: string): Promise<Judged> {
      const stage = { results_modifiers: Object.assign({}, ...modifiers) as object };
      await writeFile(recipe, JSON.stringify({ results_stage: stage }));
      const args = [PEER, MODEL, recipe, calibration, String(samples), out, String(availableParallelism())];
      const { seconds } = await run(python, args);
      return judge(seconds);
    },
  };
}

const writeRows = (path: string, { rows }: TokenRows) =>
  writeFile(path, JSON.stringify({ input_ids: rows.map(({ ids }) => [...ids]) }));

async function program(args: readonly string[]): Promise<{ seconds: number; output: unknown }> {
  const { seconds, stdout } = await run(process.execPath, [PROGRAM, ...args, '--json', '--quiet']);
  return { seconds, output: JSON.parse(stdout) };
}

async function run(program: string, args: readonly string[]): Promise<{ seconds: number; stdout: string }> {
  const start = performance.now();
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 1 << 26 });
  return { seconds: (performance.now() - start) / 1000, stdout };
}
