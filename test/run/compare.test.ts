import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareRuns } from '../../src/run/compare.js';
import type { Report } from '../../src/run/report.js';
import { FAKE_RUNS, fakeRuns, type FakeRun } from '../support/fake-runs.js';

const TASK = {
  file: '/tasks/t.jsonl',
  ...{ questions: 80, accuracy: 0.75, accuracy_error: 0.05, accuracy_norm: 0.7, accuracy_norm_error: 0.05 },
  base: { questions: 80, accuracy: 0.8, accuracy_error: 0.05, accuracy_norm: 0.7, accuracy_norm_error: 0.05 },
};

/** Compares runs of which the second is changed. */
async function compared(change: (quality: NonNullable<Report['quality']>, run: FakeRun) => object, model?: string) {
  const runs = FAKE_RUNS.slice(0, 2);
  const folder = fakeRuns(runs, (report, run) => {
    const { plan } = report;
    const named = model !== undefined && run === runs[1] ? { ...plan, model: { ...plan.model, name: model } } : plan;
    return { ...report, plan: named, quality: { ...report.quality!, ...change(report.quality!, run) } };
  });
  return compareRuns(runs.map(({ name }) => join(folder, name)));
}

const second =
  (change: object) =>
  (_: object, { name }: FakeRun) =>
    name === 'w4-mse' ? change : {};

describe('compareRuns', () => {
  it('finds the runs that no other beats in size and in loss', async () => {
    const folder = fakeRuns(FAKE_RUNS);
    const { runs, comparable } = await compareRuns(FAKE_RUNS.map(({ name }) => join(folder, name)));
    assert.ok(comparable);
    assert.deepEqual(
      runs.filter(({ on_front }) => on_front).map(({ name }) => name),
      ['w4-mse', 'w4-mse-g32', 'w6', 'w8'],
    );
  });

  it('leaves two runs that are equal both on the front', async () => {
    const same = { ...FAKE_RUNS[0]!, name: 'twin' };
    const folder = fakeRuns([FAKE_RUNS[0]!, same]);
    const { runs } = await compareRuns(['w4-minmax', 'twin'].map(name => join(folder, name)));
    assert.deepEqual(
      runs.map(({ on_front }) => on_front),
      [true, true],
    );
  });

  it('names runs by their folders, or by whole paths where folders have one name', async () => {
    const [a, b] = [fakeRuns(FAKE_RUNS.slice(0, 2)), fakeRuns(FAKE_RUNS.slice(0, 1))];
    const folders = [join(a, 'w4-minmax'), join(b, 'w4-minmax'), join(a, 'w4-mse')];
    const { runs } = await compareRuns(folders);
    assert.deepEqual(
      runs.map(({ name }) => name),
      [folders[0], folders[1], 'w4-mse'],
    );
  });

  for (const [what, change, model, note] of [
    ['models', {}, 'other/model', /different models \(w4-minmax: Qwen\/Qwen2\.5-0\.5B; w4-mse: other\/model\)/],
    ['texts', { rows_sha256: 'f'.repeat(64) }, undefined, /judged on different texts/],
    ['protocols', { protocol: 'llama' }, undefined, /scored in different ways \(.* as llama-perplexity scores them\)/],
  ] as const) {
    it(`holds no figures of two ${what} against each other`, async () => {
      const { runs, comparable, notes } = await compared(second(change), model);
      assert.equal(comparable, false);
      assert.equal(notes.length, 1);
      assert.match(notes[0]!, note);
      assert.deepEqual(
        runs.map(({ on_front }) => on_front),
        [null, null],
      );
    });
  }

  it('has right answers where all runs were asked the same', async () => {
    const accuracies = async (task: object | undefined) => {
      const { runs, comparable } = await compared((_, { name }) => ({ task: name === 'w4-mse' ? task : TASK }));
      assert.ok(comparable);
      return runs.map(({ accuracy }) => accuracy);
    };
    assert.deepEqual(await accuracies({ ...TASK, accuracy: 0 }), [0.75, 0]);
    assert.deepEqual(await accuracies({ ...TASK, base: { ...TASK.base, accuracy: 0.7 } }), [null, null]);
    assert.deepEqual(await accuracies(undefined), [null, null]);
  });

  it('shows recipes with a field on a line, without those that came before', async () => {
    const folder = fakeRuns(FAKE_RUNS.slice(0, 2));
    const recipe = join(folder, 'w4-mse/recipe.yaml');
    writeFileSync(recipe, 'version: 1\nmodifiers: [{A: {x: 1, y: [2]}}]\nhistory: [{modifiers: []}]\n');
    const { runs } = await compareRuns(['w4-minmax', 'w4-mse'].map(name => join(folder, name)));
    assert.equal(runs[1]!.recipe, 'version: 1\nmodifiers:\n  - A:\n      x: 1\n      y:\n        - 2\n');
    writeFileSync(recipe, ':\n  - [');
    await assert.rejects(compareRuns([join(folder, 'w4-minmax'), join(folder, 'w4-mse')]), {
      code: 'ARGUMENT',
      message: /recipe\.yaml of .* cannot be read/,
    });
  });
});
