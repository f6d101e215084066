import assert from 'node:assert/strict';
import type { Edit, EditContext, Modifier, PartPlan } from '../../src/modifiers/modifier.js';
import { TensorpressError } from '../../src/errors.js';
import { createReferenceEngine } from '../../src/runtime/engine/reference/engine.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model } from '../../src/runtime/model/model.js';
import { modified } from '../support/modified.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const MODULE = 'model.layers.1.mlp.down_proj';
const SITE = `${MODULE}.input`;

/** A modifier that announces a weight and a parameter of one part, and does there what it is told. */
const modifier = (edit: (context: EditContext<never>) => Promise<void>, plan: PartPlan = {}): Modifier => ({
  type: 'Mine',
  schema: 'none',
  plan: (_options, { id }) =>
    id === 'layers.1'
      ? {
          dense: [MODULE],
          parameters: [{ name: `${SITE}_scale`, dtype: 'BF16', shape: [2] }],
          observe: [{ site: SITE, observer: 'energy' }],
          ...plan,
        }
      : {},
  edit: (_part, context) => edit(context),
});

describe('what a modifier emits', () => {
  let model: Model;
  before(async () => {
    model = await loadModel(await writeModel(tinyLlama({ hidden: 16, intermediate: 24, vocabulary: 32 })));
  });
  after(() => model.source.close());

  const run = (mine: Modifier) =>
    modified({ model, engine: createReferenceEngine(), rows: [[1, 2, 3]], modifiers: [[mine]] });

  const weight = (change: (w: Float32Array) => Float32Array | Float64Array): Edit => ({
    kind: 'dense',
    module: MODULE,
    weight: change(new Float32Array(16 * 24)) as Float32Array,
  });
  const scales = (...values: number[]): Edit => ({ kind: 'parameter', name: `${SITE}_scale`, values });
  const codes: Edit = {
    kind: 'codes',
    module: MODULE,
    codes: 'nearest',
    arithmetic: 'reference',
    scale: Float32Array.of(1),
    zeroPoint: null,
    globalScale: null,
  };
  const other = 'model.layers.0.mlp.down_proj';
  const announces = 'which its plan does not announce';

  const cases: [name: string, edit: Edit, message: string][] = [
    [
      'a weight of another part',
      { kind: 'dense', module: other, weight: new Float32Array(16 * 24) },
      `Mine edits ${other}, ${announces}`,
    ],
    [
      'a weight of this part that it does not announce',
      { kind: 'dense', module: 'model.layers.1.mlp.up_proj', weight: new Float32Array(16 * 24) },
      `Mine edits model.layers.1.mlp.up_proj, ${announces}`,
    ],
    ['codes that it does not announce', codes, `Mine edits ${MODULE}, ${announces}`],
    [
      'a parameter that it does not announce',
      { kind: 'parameter', name: 'mine', values: [1] },
      `Mine edits mine, ${announces}`,
    ],
    [
      'a weight that is too short',
      weight(w => w.subarray(1)),
      `Mine gives ${MODULE} something else than the 384 float32 numbers of its weight [16, 24]`,
    ],
    [
      'a weight in float64',
      weight(w => new Float64Array(w)),
      `Mine gives ${MODULE} something else than the 384 float32 numbers of its weight [16, 24]`,
    ],
    [
      'a weight that is not a number somewhere',
      weight(w => w.fill(NaN, 30, 31)),
      `Mine gives ${MODULE} a weight that is NaN at [1, 6]`,
    ],
    [
      'a weight that is infinite',
      weight(w => w.fill(-Infinity)),
      `Mine gives ${MODULE} a weight that is -Infinity at [0, 0]`,
    ],
    ['too few values', scales(1), `${SITE}_scale has 1 values, not 2`],
    ['a value that is not a number', scales(1, NaN), `${SITE}_scale holds NaN`],
    ['a value that is infinite', scales(Infinity, 1), `${SITE}_scale holds Infinity`],
  ];
  for (const [name, edit, message] of cases) {
    it(`is refused: ${name}`, () => {
      const mine = modifier(({ emit }) => emit(edit));
      return assert.rejects(run(mine), (error: unknown) => {
        assert.ok(error instanceof TensorpressError, String(error));
        assert.deepEqual([error.code, error.exitCode, error.message], ['PLUGIN', 1, message]);
        return true;
      });
    });
  }

  it('is refused: the same weight again', async () => {
    const edit = weight(w => w);
    const mine = modifier(async ({ emit }) => {
      await emit(edit);
      await emit(edit);
    });
    await assert.rejects(run(mine), { code: 'PLUGIN', message: `Mine edits ${MODULE} twice` });
  });

  it('may leave out a weight, and no parameter', async () => {
    await assert.rejects(run(modifier(({ emit }) => emit(weight(w => w)))), {
      code: 'PLUGIN',
      message: `Mine does not emit ${SITE}_scale, which its plan announces`,
    });
    await run(modifier(({ emit }) => emit(scales(1, 2))));
  });

  it('counts where it does not wait for it', async () => {
    const mine = modifier(({ emit }) => {
      void emit(scales(1, 2)).catch(() => {});
      void emit(weight(w => w.fill(NaN))).catch(() => {});
      return Promise.resolve();
    });
    await assert.rejects(run(mine), { code: 'PLUGIN', message: /a weight that is NaN at \[0, 0\]$/ });
  });

  it('is written where it is what the plan says', async () => {
    const mine = modifier(async ({ emit, statistics }) => {
      await statistics.take({ site: SITE, observer: 'energy' });
      await emit(weight(w => w.fill(2)));
      await emit(scales(1, 2));
    });
    const { parts } = await run(mine);
    const stored = parts.flatMap(({ tensors }) => tensors.map(({ tensor }) => tensor));
    assert.equal(stored.filter(tensor => tensor === `${SITE}_scale`).length, 1);
    assert.equal(stored.filter(tensor => tensor === `${MODULE}.weight`).length, 1);
  });
});
