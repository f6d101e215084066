// Kills `tensorpress apply` with SIGKILL at random moments, runs the same command again, and compares every file with those of a run that was
// left alone. What a kill leaves must not look finished.
//
//     npm run kill-test -- --kills 200 [--seed 1] [--layers 16] [--only calibrated]
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BIN } from '../test/support/run-cli.js';
import { assertUnfinished, snapshot } from '../test/support/run-folder.js';
import { tempFolder } from '../test/support/temp.js';
import { tinyLlama, writeModel } from '../test/support/tiny-model.js';
import { random as randomStream } from '../src/numerics/random.js';

/** Of all runs that go on after a kill, so many are killed as well. */
const AGAIN = 0.3;

const ROUND = 'QuantizationModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head]}';

/** What is done and written: the modifier and the outputs of a recipe, and how large a file of the source is. */
const KINDS: readonly Task[] = [
  {
    name: 'small shards',
    maxShardSize: 20e6,
    outputs: ['{format: compressed-tensors, max_shard_size: 5MB}'],
  },
  { name: 'one big shard', maxShardSize: Infinity, outputs: ['{format: compressed-tensors}'] },
  {
    name: 'several outputs',
    maxShardSize: 60e6,
    outputs: [
      '{format: compressed-tensors, max_shard_size: 20MB}',
      '{format: compressed-tensors, name: second}',
      '{format: compressed-tensors, name: third, max_shard_size: 2MB}',
    ],
  },
  {
    name: 'calibrated',
    maxShardSize: 20e6,
    outputs: ['{format: compressed-tensors}', '{format: compressed-tensors, name: second, max_shard_size: 2MB}'],
    modifier: 'GPTQModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head]}',
    size: { hidden: 256, intermediate: 512, vocabulary: 512 },
    tokens: { rows: 16, length: 64 },
  },
];

interface Task {
  readonly name: string;
  readonly maxShardSize: number;
  readonly outputs: readonly string[];
  /** Default: round to nearest. */
  readonly modifier?: string;
  /** Default: SIZE. */
  readonly size?: typeof SIZE;
  /** Calibration data. */
  readonly tokens?: { readonly rows: number; readonly length: number };
}

const SIZE = { hidden: 768, intermediate: 2048, vocabulary: 8192 };

interface Kind {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly expected: Readonly<Record<string, string>>;
  /** Of a run that is left alone. */
  readonly milliseconds: number;
}

/** Where a kill fell, by what it left. */
const STAGES = ['before the work', 'in the parts', 'at the end', 'after run.json'] as const;
type Stage = (typeof STAGES)[number];

interface Ended {
  readonly killed: boolean;
  readonly milliseconds: number;
}

/** Runs the command; it is killed after so many milliseconds, unless it has ended before. */
async function run(args: readonly string[], killAfter = Infinity): Promise<Ended> {
  const start = performance.now();
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const timer = killAfter < Infinity ? setTimeout(() => child.kill('SIGKILL'), killAfter) : undefined;
  const [code, signal] = await new Promise<[number | null, string | null]>((done, fail) => {
    child.once('error', fail);
    child.once('close', (...ended) => done(ended));
  });
  clearTimeout(timer);
  const killed = signal === 'SIGKILL';
  assert.ok(killed || code === 0, `exit code ${code}: ${stderr}`);
  return { killed, milliseconds: performance.now() - start };
}

async function prepare(task: Task, layers: number): Promise<Kind> {
  const { name, maxShardSize, outputs, modifier = ROUND, size = SIZE, tokens } = task;
  const tiny = tinyLlama({ ...size, layers });
  const model = await writeModel(tiny, { maxShardSize, files: { 'tokenizer.json': '{"a": 1}' } });
  const folder = tempFolder();
  const recipe = join(folder, 'recipe.yaml');
  const lines = ['version: 1', 'modifiers:', `  - ${modifier}`, 'outputs:', ...outputs.map(output => `  - ${output}`)];
  if (tokens !== undefined) {
    const { uint32 } = randomStream(0, 'tokens');
    const row = () => Array.from({ length: tokens.length }, () => uint32() % size.vocabulary);
    writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ input_ids: Array.from({ length: tokens.rows }, row) }));
    lines.push('calibration: {dataset: ./tokens.json}');
  }
  writeFileSync(recipe, `${lines.join('\n')}\n`);
  const args = ['apply', recipe, '--model', model, '--quiet', '--out'];
  const whole = join(tempFolder(), 'whole');
  const { milliseconds } = await run([...args, whole]);
  const expected = snapshot(whole);
  rmSync(whole, { recursive: true });
  const files = Object.keys(expected).length;
  console.log(`${name}: ${files} files in ${(milliseconds / 1000).toFixed(1)} s when it is left alone`);
  return { name, arguments: args, expected, milliseconds };
}

/** Asserts that what a kill left is either not finished or all there, and says where it fell. */
function inspectKilled(out: string, expected: Kind['expected']): Stage {
  if (existsSync(join(out, 'run.json'))) {
    const found = Object.entries(snapshot(out)).filter(([name]) => !name.startsWith('.tensorpress'));
    assert.deepEqual(Object.fromEntries(found), expected);
    return 'after run.json';
  }
  assertUnfinished(out);
  const journal = join(out, '.tensorpress/journal.jsonl');
  if (!existsSync(journal)) return 'before the work';
  const partial = readdirSync(out, { recursive: true, encoding: 'utf8' }).some(name =>
    name.endsWith('.safetensors.partial'),
  );
  return partial || !/"part":"head"/.test(readFileSync(journal, 'utf8')) ? 'in the parts' : 'at the end';
}

/** Kills one run, and some of those that go on with it, at most `most` times; ends with a finished folder. Gives where the kills fell. */
async function killAndResume(kind: Kind, random: () => number, most: number): Promise<Stage[]> {
  const out = join(tempFolder(), 'out');
  const stages: Stage[] = [];
  for (;;) {
    const isKilled = stages.length === 0 || (stages.length < most && random() < AGAIN);
    const moment = kind.milliseconds * (0.1 + 0.95 * random());
    const { killed } = await run([...kind.arguments, out], isKilled ? moment : Infinity);
    if (killed) stages.push(inspectKilled(out, kind.expected));
    if (stages.at(-1) === 'after run.json') break;
    if (killed) continue;
    if (stages.length > 0) {
      assert.deepEqual(snapshot(out), kind.expected);
      break;
    }
    rmSync(out, { recursive: true }); // the kill came too late
  }
  rmSync(out, { recursive: true });
  return stages;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      layers: { type: 'string', default: '16' },
      only: { type: 'string' },
    },
  });
  const [kills, seed, layers] = [values.kills, values.seed, values.layers].map(Number) as [number, number, number];
  const random = randomStream(seed, 'kill-test').float64;
  const kinds: Kind[] = [];
  for (const task of KINDS.filter(({ name }) => values.only === undefined || name === values.only))
    kinds.push(await prepare(task, layers));

  const counts = new Map<string, number>();
  let done = 0;
  for (let round = 0; done < kills; round++) {
    const kind = kinds[round % kinds.length]!;
    const stages = await killAndResume(kind, random, kills - done);
    for (const stage of stages) {
      const key = `${kind.name}, ${stage}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    done += stages.length;
    console.log(`${done} of ${kills} kills: ${kind.name}, ${stages.join(', then ')}; all bytes equal`);
  }
  console.log(
    `\n${kills} kills, seed ${seed}: every run went on to the same bytes, and nothing looked finished before it was`,
  );
  for (const { name } of kinds) {
    const where = STAGES.map(stage => `${counts.get(`${name}, ${stage}`) ?? 0} ${stage}`);
    console.log(`  ${name}: ${where.join(', ')}`);
  }
}

await main();
