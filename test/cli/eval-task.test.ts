import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { textFile, tokenFile } from '../support/evaluation.js';
import { cli, ROOT } from '../support/run-cli.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');
const LINES = readFileSync(join(ROOT, 'examples/data/task.jsonl'), 'utf8').trim().split('\n');
const TASK = () => textFile('questions.jsonl', LINES.slice(0, 4).join('\n'));
const DATA = () => tokenFile([[1, 2, 3, 4, 5, 6, 7, 8]]);
const ONE = ['--threads', '1'];

describe('eval --task', () => {
  it('answers questions, and does nothing else without a text', async () => {
    const task = TASK();
    const { exitCode, stdout, stderr } = await cli(['eval', EXAMPLE, '--task', task, ...ONE, '--json']);
    assert.equal(exitCode, 0, stderr);
    const found = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(Object.keys(found), ['model', 'task', 'seconds', 'peak_memory_bytes', 'engine']);
    const { accuracy, accuracy_norm, ...others } = found['task'] as Record<string, number>;
    assert.deepEqual(Object.keys(others).sort(), ['accuracy_error', 'accuracy_norm_error', 'file', 'questions']);
    assert.deepEqual([others['file'], others['questions']], [task, 4]);
    for (const share of [accuracy!, accuracy_norm!]) assert.ok(share >= 0.5 && share <= 1);
    assert.match(stderr, /4 questions, \d+ tokens, onnxruntime/);
  });

  it('shows a model and its base', async () => {
    const { exitCode, stdout } = await cli(['eval', EXAMPLE, '--against', EXAMPLE, '--task', TASK(), ...ONE]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^ {2}right +\d+\.\d ± \d+\.\d %, of the base \d+\.\d ± \d+\.\d %$/m);
    assert.match(stdout, /^ {2}right, by length +\d/m);
    assert.doesNotMatch(stdout, /perplexity|KL/);
  });

  it('stands beside the figures of a text', async () => {
    const { exitCode, stdout } = await cli(['eval', EXAMPLE, '--data', DATA(), '--task', TASK(), ...ONE, '--json']);
    assert.equal(exitCode, 0);
    const { perplexity, task } = JSON.parse(stdout) as { perplexity: number; task: { questions: number } };
    assert.ok(perplexity > 1);
    assert.equal(task.questions, 4);
  });

  for (const [what, args, sentence] of [
    ['that is not there', ['--task', 'nowhere.jsonl'], /nowhere\.jsonl does not exist\n +check the path/],
    [
      'that is none',
      ['--task', join(ROOT, 'examples/data/README.md')],
      /README\.md:1: this line is not JSON\n +a line reads \{"context"/,
    ],
    [
      'with options of a text',
      ['--task', 'a.jsonl', '--context', '8'],
      /--context is about a text, and .*\n +add --data/,
    ],
    ['with a prompt', ['--task', 'a.jsonl', '--prompt', 'a'], /--prompt is about a text/],
  ] as const) {
    it(`refuses one ${what}`, async () => {
      const { exitCode, stdout, stderr } = await cli(['eval', EXAMPLE, ...args]);
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, sentence);
    });
  }

  it('needs a tokenizer, and two models of one vocabulary', async () => {
    const model = await writeModel(tinyLlama());
    const alone = await cli(['eval', model, '--task', TASK()]);
    assert.equal(alone.exitCode, 2);
    assert.match(alone.stderr, /holds no tokenizer\.json/);
    const both = await cli(['eval', model, '--against', EXAMPLE, '--task', TASK()]);
    assert.equal(both.exitCode, 2);
    assert.match(both.stderr, /the vocabulary has 80 tokens, that of tiny-llama 4096/);
  });
});
