import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeChoice, parseTask, taskFigures, type TaskFigures } from '../../src/evaluation/tasks.js';
import { loadTokenizer } from '../../src/runtime/text/tokenizer.js';
import { answer } from '../../src/run/answer.js';
import { sharedTokenizer } from '../../src/run/shared-tokenizer.js';
import { readTask } from '../../src/run/task.js';
import { logits, nll, run, textFile, tokenFile } from '../support/evaluation.js';
import { ROOT } from '../support/run-cli.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');
const TASK = join(ROOT, 'examples/data/task.jsonl');
const LINES = readFileSync(TASK, 'utf8').trim().split('\n');

/** Figures from the logits of each row by itself. */
async function byHand(model: string, text: string): Promise<TaskFigures> {
  const questions = parseTask(text, 'task.jsonl');
  const { encode, eos, bos } = await loadTokenizer(EXAMPLE);
  const choices = questions.flatMap(({ context, choices }) =>
    choices.map(choice => encodeChoice(context, choice, part => encode(part), bos ?? eos[0]!)),
  );
  const { rows } = await logits({ model, data: tokenFile(choices.map(({ ids }) => [...ids])) });
  const vocabulary = rows[0]!.length / choices[0]!.ids.length;
  const likelihoods = choices.map(({ ids, scored }, i) => {
    const from = ids.length - scored;
    const at = (t: number) => rows[i]!.subarray((t - 1) * vocabulary, t * vocabulary);
    return [...ids.subarray(from)].reduce((sum, id, t) => sum - nll(at(from + t), id), 0);
  });
  return taskFigures(
    questions,
    questions.map(({ choices }) => likelihoods.splice(0, choices.length)),
  );
}

/** An untrained model with the example's tokenizer. */
async function untrained(): Promise<string> {
  const folder = await writeModel(tinyLlama({ vocabulary: 4096, sigma: 0.3 }));
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    cpSync(join(EXAMPLE, name), join(folder, name));
  }
  return folder;
}

describe('a task', () => {
  it('of the example is answered as transformers answers it', async () => {
    const { task, engine, model, seconds, peak_memory_bytes } = await answer({
      model: EXAMPLE,
      task: TASK,
      threads: 1,
    });
    assert.equal(task.questions, 80);
    assert.equal(task.accuracy, 0.8);
    assert.equal(task.accuracy_norm, 57 / 80);
    assert.ok(Math.abs(task.accuracy_error - Math.sqrt((0.8 * 0.2) / 79)) < 1e-12);
    assert.equal(task.file, TASK);
    assert.equal(task.base, undefined);
    assert.deepEqual([model, seconds > 0, peak_memory_bytes > 1e7], ['tiny-llama', true, true]);
    assert.match(engine, /^onnxruntime/);
  });

  it('has the figures of the logits, whatever the lengths of its questions, for a model and its base', async () => {
    const questions = [
      { context: '', choices: ['The king', 'of', 'history of the world'], answer: 0 },
      { context: 'In the year', choices: ['of', 'seven and a half', 'x'], answer: 1 },
      ...LINES.slice(0, 8).map(line => JSON.parse(line) as object),
      { context: 'a '.repeat(40), choices: ['b', 'a'], answer: 1 },
    ];
    const text = questions.map(question => JSON.stringify(question)).join('\n');
    const model = await untrained();
    const task = textFile('mine.jsonl', text);
    const data = tokenFile([[1, 2, 3, 4]]);
    const { file, base, ...own } = (await run({ model, against: EXAMPLE, data, task })).task!;
    assert.equal(file, task);
    assert.deepEqual(own, await byHand(model, text));
    assert.deepEqual(base, await byHand(EXAMPLE, text));
    assert.notEqual(own.accuracy, base!.accuracy);
  });

  it('leaves the figures of a text as they are', async () => {
    const data = tokenFile([[1, 2, 3, 4, 5, 6]]);
    const task = textFile('mine.jsonl', LINES.slice(0, 2).join('\n'));
    const [plain, more] = [await run({ model: EXAMPLE, data }), await run({ model: EXAMPLE, data, task })];
    assert.equal(plain.task, undefined);
    assert.equal(more.task!.questions, 2);
    assert.deepEqual([plain.perplexity, plain.tokens, plain.notes], [more.perplexity, more.tokens, more.notes]);
  });

  it('is the same in any order of its questions', async () => {
    const lines = LINES.slice(10, 16);
    const figures = [];
    for (const order of [lines, [...lines].reverse()]) {
      figures.push((await answer({ model: EXAMPLE, threads: 1, task: textFile('mine.jsonl', order.join('\n')) })).task);
    }
    assert.equal(figures[0]!.accuracy, figures[1]!.accuracy);
    assert.equal(figures[0]!.accuracy_norm, figures[1]!.accuracy_norm);
  });
});

describe('readTask', () => {
  const where = sharedTokenizer(EXAMPLE, 4096);

  it('scores the tokens of the choices only', async () => {
    const path = textFile(
      'mine.jsonl',
      '{"context": "The king was killed in the", "choices": ["battle", "x y"], "answer": 0}',
    );
    const { rows, questions } = await readTask(path, where);
    const { encode } = await loadTokenizer(EXAMPLE);
    assert.equal(questions.length, 1);
    assert.equal(rows.length, 2);
    const context = encode('The king was killed in the').length;
    for (const [i, choice] of [' battle', ' x y'].entries()) {
      assert.deepEqual([...rows[i]!.ids], encode(`The king was killed in the${choice}`));
      assert.equal(rows[i]!.scoredFrom, context);
    }
  });

  it('names file and line of what cannot be read', async () => {
    const path = textFile('mine.jsonl', `${LINES[0]}\n{"context": 1}`);
    await assert.rejects(readTask(path, where), {
      code: 'ARGUMENT',
      message: /^mine\.jsonl:2: context is not a text$/,
    });
    await assert.rejects(readTask('./nowhere.jsonl', where), { code: 'ARGUMENT', message: /nowhere\.jsonl/ });
  });

  it('needs a tokenizer', async () => {
    const folder = await writeModel(tinyLlama());
    await assert.rejects(readTask(TASK, sharedTokenizer(folder, 80)), { code: 'MODEL', message: /tokenizer/ });
  });
});
