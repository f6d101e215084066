import assert from 'node:assert/strict';
import { questionsOf, taskRows } from '../../src/run/task-rows.js';

const FIGURES = { questions: 80, accuracy: 0.8, accuracy_error: 0.045, accuracy_norm: 1, accuracy_norm_error: 0 };

describe('the rows of a task', () => {
  it('give each share with its interval, and that of the original below it', () => {
    const base = { ...FIGURES, accuracy: 0.75, accuracy_norm: 0 };
    assert.deepEqual(
      taskRows({ file: 't.jsonl', ...FIGURES, base }).map(row => Object.values(row)),
      [
        ['right answers', '80.0 %', '70.0 % to 87.3 %'],
        ['of the original', '75.0 %', '64.5 % to 83.2 %'],
        ['right, by length', '100.0 %', '95.4 % to 100.0 %'],
        ['of the original', '0.0 %', '0.0 % to 4.6 %'],
      ],
    );
    assert.equal(taskRows({ file: 't.jsonl', ...FIGURES }).length, 2);
  });

  it('name the questions without their folder', () => {
    assert.equal(questionsOf({ file: '/home/me/t.jsonl', questions: 80 }), '80 questions of t.jsonl');
    assert.equal(questionsOf({ file: 'C:\\tasks\\t.jsonl', questions: 1 }), '1 question of t.jsonl');
  });
});
