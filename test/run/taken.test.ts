import assert from 'node:assert/strict';
import type { CodesEdit, Edit, EditContext, Modifier, PartPlan } from '../../src/modifiers/modifier.js';
import { TensorpressError } from '../../src/errors.js';
import type { Step } from '../../src/recipe/plan.js';
import { checkedCodes } from '../../src/run/taken.js';
import { createReferenceEngine } from '../../src/runtime/engine/reference/engine.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model, Weight } from '../../src/runtime/model/model.js';
import { normalizeArgs } from '../../src/schemes/args.js';
import { modified } from '../support/modified.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const MODULE = 'model.layers.1.mlp.down_proj';
const SITE = `${MODULE}.input`;
const KINDS = '{kind: "dense", "codes" or "parameter", ...}';

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

describe('codes that a modifier emits', () => {
  const weight: Weight = { tensor: 'w', rows: 2, columns: 8, dtype: 'BF16' };
  const args = (given: object) => normalizeArgs({ num_bits: 4, strategy: 'group', group_size: 4, ...given }).args!;
  const int4: CodesEdit = {
    ...{ kind: 'codes', module: MODULE, arithmetic: 'exact' },
    ...{ codes: new Int8Array(16).fill(-8), scale: new Float32Array(4).fill(1) },
    ...{ zeroPoint: null, globalScale: null, groupIndex: null },
  };
  const nvfp4 = { type: 'float', strategy: 'tensor_group' };
  const check = (edit: object, scheme: object) =>
    checkedCodes({ ...int4, ...edit }, weight, args(scheme), { modifier: { type: 'Mine' } } as Step);

  it('fit the weight and its scheme', () => {
    check({}, {});
    check({ groupIndex: Int32Array.of(0, 1, 0, 1, 0, 1, 0, 1), codes: 'nearest' }, {});
    check({ zeroPoint: Int8Array.of(-8, 7, 0, 0) }, { symmetric: false });
    check({ codes: new Uint8Array(16).fill(15), globalScale: 4 }, nvfp4);
  });

  const cases: [name: string, edit: object, message: string, scheme?: object][] = [
    ['too few', { codes: new Int8Array(15) }, '15 codes, not 16'],
    ['too large', { codes: new Int8Array(16).fill(8, 3) }, 'codes that are not within -8 and 7: 8 at 3'],
    ['too small', { codes: new Int8Array(16).fill(-9, 15) }, 'codes that are not within -8 and 7: -9 at 15'],
    ['of another type', { codes: new Float32Array(16) }, 'codes that are no Int8Array'],
    [
      'of more bits than fp4',
      { codes: new Uint8Array(16).fill(16), globalScale: 1 },
      'codes that are not within 0 and 15: 16 at 0',
      nvfp4,
    ],
    ['with too few scales', { scale: new Float32Array(3) }, '3 scales, not 4'],
    ['with no scales', { scale: undefined }, 'scales that are no Float32Array'],
    [
      'with a scale of NaN',
      { scale: Float32Array.of(1, NaN, 1, 1) },
      `scales that are not within 0 and the largest float32: NaN at 1`,
    ],
    [
      'with a scale below 0',
      { scale: Float32Array.of(1, 1, 1, -1) },
      `scales that are not within 0 and the largest float32: -1 at 3`,
    ],
    ['without zero points', {}, 'zero points that are no Int8Array', { symmetric: false }],
    [
      'with zero points',
      { zeroPoint: new Int8Array(4) },
      'zero points that are not null, though its scheme is symmetric',
    ],
    [
      'with a group that is not',
      { groupIndex: new Int32Array(8).fill(2) },
      'indexes of groups that are not within 0 and 1: 2 at 0',
    ],
    ['without a global scale', {}, 'a global scale that is null, and its strategy is tensor_group', nvfp4],
    ['with an arithmetic that is not', { arithmetic: 'fuzzy' }, 'the arithmetic "fuzzy"'],
  ];
  for (const [name, edit, message, scheme = {}] of cases) {
    it(`are refused: ${name}`, () =>
      assert.throws(() => check(edit, scheme), { code: 'PLUGIN', message: `Mine gives ${MODULE} ${message}` }));
  }
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
    [
      'a weight beyond the numbers of its dtype',
      weight(w => w.fill(3.4e38, 31, 32)),
      `Mine gives ${MODULE} a weight of ${Math.fround(3.4e38)} at [1, 7], more than BF16 can hold`,
    ],
    ['no edit', undefined as unknown as Edit, `Mine emits what is no edit: ${KINDS}`],
    ['an edit of no kind', { kind: 'sparse' } as unknown as Edit, `Mine emits what is no edit: ${KINDS}`],
    ['too few values', scales(1), `Mine gives ${SITE}_scale a list of 1 where it has planned 2`],
    ['a value that is not a number', scales(1, NaN), `Mine gives ${SITE}_scale a value that is NaN`],
    ['a value that is infinite', scales(Infinity, 1), `Mine gives ${SITE}_scale a value that is Infinity`],
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

  it('counts only while the modifier edits the part', async () => {
    let emitLater: EditContext<never>['emit'] | undefined;
    const mine: Modifier = {
      ...modifier(() => Promise.resolve()),
      plan: (_options, { id }) => ({
        ...(id === 'layers.0' && { dense: [other] }),
        ...(id === 'layers.1' && { dense: [MODULE], observe: [{ site: SITE, observer: 'energy' }] }),
      }),
      edit(part, { emit }) {
        if (part.id === 'layers.0') emitLater = emit;
        if (part.id === 'layers.1') void emitLater!({ kind: 'dense', module: other, weight: new Float32Array(384) });
        return Promise.resolve();
      },
    };
    await assert.rejects(run(mine), {
      code: 'PLUGIN',
      message: 'Mine emits an edit after its edit of the part has ended',
    });
  });

  const said: [name: string, say: (context: EditContext<never>) => void, message: string][] = [
    ['no remark', ({ report }) => report(undefined as never), 'Mine reports what is no remark'],
    ['a remark of no words', ({ report }) => report({ message: 5 as never }), 'Mine reports what is no remark'],
    ['no figures', ({ measure }) => measure(MODULE, 'x' as never), 'Mine measures what are no figures'],
    ['nothing', ({ measure }) => measure(MODULE, undefined as never), 'Mine measures what are no figures'],
    ['a loss of NaN', ({ measure }) => measure(MODULE, { loss: NaN }), `Mine measures loss = NaN of ${MODULE}`],
  ];
  for (const [name, say, message] of said) {
    it(`goes with words and numbers: not with ${name}`, () => {
      const mine = modifier(context => Promise.resolve(say(context)));
      return assert.rejects(run(mine), { code: 'PLUGIN', message });
    });
  }

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
