import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { encodeChoice, parseTask, taskFigures } from '../../src/evaluation/tasks.js';
import { refused } from '../formats/refused.js';

describe('parseTask', () => {
  it('reads questions, skips empty lines and ignores other keys', () => {
    const text =
      '{"context":"a","choices":["b","c"],"answer":1}\r\n\n{"id":7,"context":"","choices":["x","y","z"],"answer":0}';
    assert.deepEqual(parseTask(text, 'task.jsonl'), [
      { context: 'a', choices: ['b', 'c'], answer: 1 },
      { context: '', choices: ['x', 'y', 'z'], answer: 0 },
    ]);
  });

  const good = '{"context":"a","choices":["b","c"],"answer":1}';
  for (const [line, problem] of [
    ['{"context":', 'this line is not JSON'],
    ['[]', 'this line is not an object'],
    ['{"choices":["b","c"],"answer":1}', 'context is not a text'],
    ['{"context":"a","choices":["b"],"answer":0}', 'choices is not a list of two texts or more'],
    ['{"context":"a","choices":"bc","answer":0}', 'choices is not a list of two texts or more'],
    ['{"context":"a","choices":["b",3],"answer":0}', 'choices holds something that is not a text, or an empty one'],
    ['{"context":"a","choices":["b"," "],"answer":0}', 'choices holds something that is not a text, or an empty one'],
    ['{"context":"a","choices":["b","c"],"answer":2}', 'answer is not the index of a choice, 0 to 1'],
    ['{"context":"a","choices":["b","c"],"answer":-1}', 'answer is not the index of a choice, 0 to 1'],
    ['{"context":"a","choices":["b","c"],"answer":"b"}', 'answer is not the index of a choice, 0 to 1'],
  ] as const) {
    it(`refuses ${line}`, async () => {
      const error = await refused(() => parseTask(`${good}\n${line}\n${good}`, 'my.jsonl'));
      assert.equal(error.message, `my.jsonl:2: ${problem}`);
      assert.deepEqual(error.place, { file: 'my.jsonl', line: 2 });
      assert.equal(error.code, 'ARGUMENT');
      assert.ok(error.hint);
    });
  }

  it('refuses a file without questions', async () => {
    assert.equal((await refused(() => parseTask('\n \n', 'my.jsonl'))).message, 'my.jsonl holds no questions');
  });

  it('reads the example, whose answers are spread evenly', () => {
    const path = new URL('../../examples/data/task.jsonl', import.meta.url);
    const questions = parseTask(readFileSync(path, 'utf8'), 'task.jsonl');
    assert.ok(questions.length >= 60 && questions.length <= 100);
    assert.equal(new Set(questions.map(({ context }) => context)).size, questions.length);
    for (const { choices } of questions) assert.equal(new Set(choices).size, 4);
    const counts = [0, 1, 2, 3].map(index => questions.filter(({ answer }) => answer === index).length);
    assert.ok(Math.max(...counts) < questions.length * 0.4, String(counts));
  });
});

describe('encodeChoice', () => {
  /** Words with the space before them. */
  const words = (text: string) => text.match(/\s*\S+|\s+$/g) ?? [];
  const vocabulary: string[] = [];
  const encode = (text: string) =>
    words(text).map(word => (vocabulary.includes(word) ? vocabulary.indexOf(word) : vocabulary.push(word) - 1));
  const decode = (ids: Int32Array) => [...ids].map(id => vocabulary[id] ?? '<s>');

  it('scores the tokens behind those of the context', () => {
    const { ids, scored } = encodeChoice('The sky is', 'very blue', encode, 999);
    assert.deepEqual(decode(ids), ['The', ' sky', ' is', ' very', ' blue']);
    assert.equal(scored, 2);
  });

  it('moves white space from the end of the context to the choice', () => {
    const { ids, scored } = encodeChoice('The sky is \n', 'blue', encode, 999);
    assert.deepEqual(decode(ids), ['The', ' sky', ' is', ' \n blue']);
    assert.equal(scored, 1);
  });

  it('begins with the prefix where there is no context', () => {
    const { ids, scored } = encodeChoice('', 'Blue sky', encode, 999);
    assert.deepEqual(decode(ids), ['<s>', ' Blue', ' sky']);
    assert.equal(scored, 2);
  });

  it('scores a choice that melts into the context by its last token', () => {
    const { ids, scored } = encodeChoice('ab', 'c', text => (text === '' ? [] : [5]), 999);
    assert.deepEqual([[...ids], scored], [[5], 1]);
  });
});

describe('taskFigures', () => {
  const question = (choices: string[], answer: number) => ({ context: '', choices, answer });

  it('counts the largest log likelihoods, plain and per character', () => {
    const figures = taskFigures(
      [question(['ab', 'abcdefgh'], 1), question(['a', 'b'], 0), question(['a', 'b'], 1), question(['abcd', 'a'], 0)],
      [
        [-4, -8], // plain: first; per character -2, -1: second
        [-1, -1], // the first of equals
        [-2, -3],
        [-3, -1], // plain: second; per character -0.75, -1: first
      ],
    );
    assert.equal(figures.accuracy, 0.25);
    assert.equal(figures.accuracy_norm, 0.75);
    // sqrt(sum (x - mean)² / (n - 1)) / sqrt(n)
    assert.ok(Math.abs(figures.accuracy_error - 0.25) < 1e-15);
    assert.equal(figures.questions, 4);
  });

  it('counts code points, neither bytes nor UTF-16 units', () => {
    // 2 code points, 4 UTF-16 units, 8 bytes
    const { accuracy_norm } = taskFigures([question(['😀😀', 'abc'], 1)], [[-3, -4]]);
    assert.equal(accuracy_norm, 1);
    const { accuracy_norm: other } = taskFigures([question(['ééé', 'ab'], 1)], [[-4, -3]]);
    assert.equal(other, 0);
  });
});
