import assert from 'node:assert/strict';
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { EvaluateTask, Evaluation } from '../../src/run/evaluate.js';
import { runEvaluation } from '../../src/run/evaluation.js';
import { run, textFile, tokenFile } from '../support/evaluation.js';
import { cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const ROWS = [
  [1, 2, 3, 4, 5, 6, 7, 8],
  [8, 7, 6, 5, 4, 3, 2, 1],
];

/** A model, a text and an empty cache, and how the model is evaluated with them. */
async function bench(more: Partial<EvaluateTask> = {}) {
  const model = await writeModel(tinyLlama());
  const cacheDir = join(tempFolder(), 'not/there/yet');
  const data = tokenFile(ROWS);
  const ask = (changed: Partial<EvaluateTask> = {}) => run({ model, data, cacheDir, context: 8, ...more, ...changed });
  return { model, data, cacheDir, ask };
}

type Given = { readonly model: string; readonly data: string };
const reused = ({ notes }: Evaluation) => notes.some(note => note.startsWith('perplexity from the cache'));

describe('the cache of perplexities', () => {
  it('gives what an earlier run has measured, its time and memory too, and says so', async () => {
    const { ask, cacheDir } = await bench();
    const first = await ask();
    assert.equal(reused(first), false);
    const second = await ask();
    assert.ok(reused(second));
    assert.deepEqual({ ...second, notes: [] }, { ...first, notes: [] });
    assert.equal(readdirSync(cacheDir).length, 1);
  });

  it('measures again when it is told to, and keeps that', async () => {
    const { ask } = await bench();
    await ask();
    const again = await ask({ force: true });
    assert.equal(reused(again), false);
    assert.equal((await ask()).seconds, again.seconds);
  });

  const questions: Record<string, Partial<EvaluateTask>> = {
    'another text': { data: tokenFile([ROWS[0]!, [8, 7, 6, 5, 4, 3, 2, 2]]) },
    'another context': { context: 4 },
    'another stride': { context: 4, stride: 2 },
    'fewer windows': { windows: 1 },
    'another engine': { engine: 'reference' },
    'another number of threads': { threads: 2 },
  };
  for (const [what, question] of Object.entries(questions)) {
    it(`does not hold for ${what}`, () => isMeasured(() => question));
  }

  const changes: Record<string, (given: Given) => void> = {
    'its text': ({ data }) => writeFileSync(data, JSON.stringify({ input_ids: ROWS.toReversed().slice(1) })),
    'the time of its weights': ({ model }) => utimesSync(weights(model), 1, 1),
    'its weights, but neither their size nor their time': ({ model }) => {
      const { atime, mtime } = statSync(weights(model));
      writeFileSync(weights(model), otherWeights(model));
      utimesSync(weights(model), atime, mtime);
    },
    'its weights for a file of the same size and time': ({ model }) => {
      const { atime, mtime } = statSync(weights(model));
      const other = join(model, 'other');
      writeFileSync(other, otherWeights(model));
      utimesSync(other, atime, mtime);
      renameSync(other, weights(model));
    },
    'its config.json': ({ model }) => {
      const path = join(model, 'config.json');
      const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
      writeFileSync(path, JSON.stringify({ ...config, rms_norm_eps: 0.1 }));
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`does not hold for what has changed ${what}`, () =>
      isMeasured(given => {
        change(given);
        return {};
      }));
  }

  it('does not hold for a copy of the model', () =>
    isMeasured(({ model }) => {
      const copy = join(tempFolder(), 'copy');
      cpSync(model, copy, { recursive: true, preserveTimestamps: true });
      return { model: copy };
    }));

  it('knows a model behind a link as the same', async () => {
    const { ask, model } = await bench();
    const link = join(tempFolder(), 'link');
    symlinkSync(model, link);
    await ask();
    assert.ok(reused(await ask({ model: link })));
  });

  it('is not asked where there is more to do', async () => {
    const { ask, model } = await bench();
    await ask();
    assert.equal(reused(await ask({ logits: join(tempFolder(), 'logits.safetensors') })), false);
    assert.equal(reused(await ask({ against: model })), false);
  });

  it('is not filled where a weight file changes while it is read', async () => {
    const { model, cacheDir } = await bench();
    const data = tokenFile(ROWS);
    await runEvaluation({ model, data, cacheDir, context: 8, threads: 1 }, event => {
      // the last byte of the head is read by now, and the file is left as it is but for its time
      if (event.type === 'progress' && event.done === event.total) utimesSync(weights(model), 1, 1);
    });
    assert.throws(() => readdirSync(cacheDir), { code: 'ENOENT' });
  });

  for (const [what, damage] of [
    ['is cut off', text => text.slice(0, -20)],
    ['is empty', () => ''],
    ['is no JSON of ours', () => 'null'],
    ['has another digit', text => text.replace(/("perplexity":\d+\.\d)\d/, '$17')],
  ] satisfies [string, (text: string) => string][]) {
    it(`ignores a file that ${what}, and writes it anew`, async () => {
      const { ask, cacheDir } = await bench();
      const { perplexity } = await ask();
      const path = join(cacheDir, readdirSync(cacheDir)[0]!);
      const whole = readFileSync(path, 'utf8');
      assert.notEqual(damage(whole), whole);
      writeFileSync(path, damage(whole));
      const again = await ask();
      assert.deepEqual([reused(again), again.perplexity], [false, perplexity]);
      assert.ok(reused(await ask()));
    });
  }

  it('is missed by no one where it cannot be written', async () => {
    const { ask } = await bench({ cacheDir: join(textFile('file', ''), 'below') });
    assert.equal(reused(await ask()), false);
    assert.equal(reused(await ask()), false);
  });

  it('is shared by processes that measure the same at once', async () => {
    const model = await writeModel(tinyLlama());
    const home = tempFolder();
    const args = ['eval', model, '--data', tokenFile(ROWS), '--context', '8', '--device', 'cpu', '--json'];
    const ask = async () => {
      const { exitCode, stdout, stderr } = await cli(args, { env: { XDG_CACHE_HOME: home } });
      assert.equal(exitCode, 0, stderr);
      return JSON.parse(stdout) as Evaluation;
    };
    const [a, b] = await Promise.all([ask(), ask()]);
    assert.equal(a.perplexity, b.perplexity);
    const folder = join(home, 'tensorpress/perplexity');
    assert.equal(readdirSync(folder).length, 1);
    assert.ok(reused(await ask()));
  });
});

/** After a change, or asked otherwise, it finds what it finds without a cache. */
async function isMeasured(change: (given: Given) => Partial<EvaluateTask>): Promise<void> {
  const { ask, cacheDir, ...given } = await bench();
  await ask();
  const question = change(given);
  const found = await ask(question);
  assert.equal(reused(found), false);
  const { perplexity, rows_sha256 } = await run({ context: 8, ...given, ...question });
  assert.deepEqual([found.perplexity, found.rows_sha256], [perplexity, rows_sha256]);
  assert.equal(readdirSync(cacheDir).length, 2);
}

/** The bytes of a weight file with another last number. */
function otherWeights(model: string): Buffer {
  const bytes = readFileSync(weights(model));
  bytes[bytes.length - 2]! ^= 1;
  return bytes;
}

function weights(model: string): string {
  return join(model, 'model.safetensors');
}
