import assert from 'node:assert/strict';
import { defineModifier, type Modifier } from '../../../src/modifiers/modifier.js';
import { claimSelection, selectModules, type Selection } from '../../../src/modifiers/selection.js';
import { defineObserver } from '../../../src/observers/observer.js';
import { memorylessMinmax, staticMinmax } from '../../../src/observers/minmax.js';
import { observe, observeWeight, optionErrors, tinyModel, tryModifier } from '../../../src/testing.js';
import { pluginText, writeFiles } from '../../support/plugin.js';

const NAME = 'model.layers.1.mlp.down_proj';

/** Doubles the weights that are selected, and tells the energy of what they read. */
const doubling = defineModifier<Selection>({
  type: 'DoublingModifier',
  schema: { type: 'object' },
  flows: true,
  schemes: claimSelection,
  plan(options, part) {
    const names = selectModules(options, part.modules).map(({ name }) => name);
    return { dense: names, observe: names.map(name => ({ site: `${name}.input`, observer: 'energy' })) };
  },
  async edit(part, { options, compute, statistics, emit, measure, report }) {
    for (const module of selectModules(options, part.modules)) {
      const energy = await statistics.take<Float64Array>({ site: `${module.name}.input`, observer: 'energy' });
      measure(module.name, { energy: energy.reduce((sum, v) => sum + v, 0) });
      const weight = await compute.weight(module);
      await emit({ kind: 'dense', module: module.name, weight: weight.map(w => 2 * w) });
      report({ module: module.name, message: 'doubled' });
    }
  },
});

describe('tryModifier', () => {
  it('plans, shows data, edits, and tells everything', async () => {
    const options = { targets: [NAME, 'lm_head'] };
    const tried = await tryModifier(doubling, { options, after: [{ QuantizationModifier: { scheme: 'W8A8' } }] });
    assert.deepEqual(Object.keys(tried.plans), ['embedding', 'layers.0', 'layers.1', 'head']);
    assert.deepEqual(tried.plans['layers.1']!.dense, [NAME]);
    assert.deepEqual(
      tried.edits.map(edit => edit.kind === 'dense' && edit.module),
      [NAME, 'lm_head'],
    );
    assert.deepEqual(
      await tried.after(NAME),
      (await tried.before(NAME)).map(w => 2 * w),
    );
    assert.ok(tried.figures[NAME]!['energy']! > 0);
    assert.deepEqual(
      tried.remarks.map(({ module }) => module),
      [NAME, 'lm_head'],
    );
    assert.equal((tried.statistics[0]!.result as Float64Array).length, 48);
    const other = 'model.layers.0.mlp.down_proj';
    assert.deepEqual(await tried.after(other), await tried.before(other));
  });

  it('takes tokens and a model, and gives the same again', async () => {
    const model = await tinyModel({ layers: 1, vocabulary: 8, tied: true, dtype: 'BF16' });
    const energies = async (...tokens: number[][]) => (await tryModifier(doubling, { model, tokens })).figures;
    const figures = await energies([1, 2, 3], [4, 5, 6, 7]);
    // a tied head has no weight of its own
    assert.equal(Object.keys(figures).length, 7);
    assert.deepEqual(await energies([1, 2, 3], [4, 5, 6, 7]), figures);
    assert.notDeepEqual(await energies([1, 1, 1]), figures);
  });

  it('says what a plan or a run would say', async () => {
    await assert.rejects(tryModifier(doubling, { options: { targets: ['none'] } }), { code: 'PLAN' });
    const wrong: Modifier<Selection> = {
      ...doubling,
      edit: (part, { emit }) =>
        part.id === 'layers.0'
          ? emit({ kind: 'dense', module: 'lm_head', weight: new Float32Array() })
          : Promise.resolve(),
    };
    await assert.rejects(tryModifier(wrong), { code: 'PLUGIN', message: /DoublingModifier edits lm_head/ });
  });
});

describe('observe', () => {
  const x = [1, -2, 3, 4, -5, 6];

  it('cuts values into batches', async () => {
    const range = { min: Float32Array.of(-5, -2), max: Float32Array.of(3, 6) };
    const more = { columns: 2, size: 1 };
    for (const batches of [[], [1], [1, 1], [2], [7]])
      assert.deepEqual(await observe(staticMinmax, x, { ...more, batches }), range);
    const last = await observe(memorylessMinmax, x, { ...more, batches: [2] });
    assert.deepEqual(last, { min: Float32Array.of(-5, 6), max: Float32Array.of(-5, 6) });
  });

  it('gives values themselves, and names what fails', async () => {
    const sums = defineObserver<{ sum: number }, number>({
      names: ['sums'],
      values: {
        reduce: () => [],
        init: () => ({ sum: 0 }),
        update: (state, [values]) => void (state.sum += Array.from(values!).reduce((a, b) => a + b, 0)),
        finish({ sum }) {
          if (sum < 0) throw new Error('it is negative');
          return sum;
        },
      },
    });
    assert.equal(await observe(sums, x, { columns: 3, batches: [1] }), 7);
    await assert.rejects(observe(sums, [-1], { columns: 1 }), {
      code: 'PLUGIN',
      message: /observer sums fails in finish: it is negative/,
    });
    await assert.rejects(observeWeight(sums, new Float32Array(2), { columns: 1, args: {} }), /sums sees no weights/);
  });
});

describe('observeWeight', () => {
  it('reads chunks of rows', async () => {
    const args = { num_bits: 4, strategy: 'channel' };
    const seen: number[] = [];
    const observer = defineObserver({
      names: ['rows'],
      async weightRange({ weight, grid }) {
        for await (const { fromRow, x } of weight.chunks()) seen.push(fromRow, x.length);
        return weight.range(grid);
      },
    });
    const range = await observeWeight(observer, Float32Array.of(1, 2, 3, 4, 5, 6), { columns: 2, args, chunk: 2 });
    assert.deepEqual(seen, [0, 4, 2, 2]);
    assert.deepEqual(range, { min: Float32Array.of(1, 3, 5), max: Float32Array.of(2, 4, 6) });
  });
});

describe('optionErrors', () => {
  it('are those of validate', async () => {
    const [path] = writeFiles({ 'a.ts': pluginText() });
    assert.deepEqual(await optionErrors(path!, { limit: 2 }), []);
    assert.deepEqual(await optionErrors(path!, { limit: 3 }), ['limit must be at most 2, not 3']);
    assert.match(
      (await optionErrors(path!, { limt: 1 }, 'BadModifier'))[0]!,
      /unknown field "limt": .*did you mean "limit"/,
    );
  });
});
