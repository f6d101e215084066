import assert from 'node:assert/strict';
import type { Modifier } from '../../../src/modifiers/modifier.js';
import { makeGrid } from '../../../src/numerics/grid.js';
import type { Observer, ValueObserver, ValueSpec } from '../../../src/observers/observer.js';
import { guardModifier, guardObserver } from '../../../src/recipe/plugins/guard.js';
import type { Model, Part } from '../../../src/runtime/model/model.js';

const part = (): Part => ({
  id: 'layers.0',
  modules: [{ name: 'q', classes: ['Linear'], weight: { tensor: 'q.weight', rows: 2, columns: 4, dtype: 'BF16' } }],
  tensors: ['q.weight'],
});

const mine = (own: object): Modifier =>
  guardModifier({ type: 'Mine', schema: {}, plan: () => ({}), edit: () => Promise.resolve(), ...own }, 'mine.ts');

describe('a modifier that is guarded', () => {
  const plan = (own: unknown) => () => mine({ plan: () => own }).plan({} as never, part(), new Map());
  const parameter = { name: 'x', dtype: 'F32', shape: [2] };

  it('plans what a plan holds', () => {
    const all = { codes: [], dense: ['q'], parameters: [parameter], observe: [], refuse: 'not today' };
    assert.deepEqual(plan(all)(), all);
  });

  const plans: [name: string, plan: unknown, message: string | RegExp][] = [
    ['a promise', Promise.resolve({}), 'it gives a promise, and nobody waits for it: it cannot be async'],
    ['a list', [], 'it gives no plan, which is an object'],
    ['an unknown word', { dens: ['q'] }, 'it plans "dens"; a plan holds codes, dense, parameters, observe, refuse'],
    ['no parameter', { parameters: [5] }, 'a parameter is {name, dtype, shape}'],
    [
      'a dtype that is not',
      { parameters: [{ ...parameter, dtype: 'F99' }] },
      /the dtype of x is F99, which there is not$/,
    ],
    ['half a row', { parameters: [{ ...parameter, shape: [1.5] }] }, 'the shape of x is [1.5]'],
    ['a tensor of the model', { parameters: [{ ...parameter, name: 'q.weight' }] }, /has a tensor q\.weight already$/],
  ];
  for (const [name, given, message] of plans) {
    it(`cannot plan ${name}`, () => {
      const text = typeof message === 'string' ? `Mine fails in plan of layers.0: ${message}` : message;
      assert.throws(plan(given), { code: 'PLUGIN', message: text });
    });
  }

  it('cannot change what it is given', async () => {
    const given = part();
    const options = { limits: [1] };
    const changes = mine({
      plan: ({ limits }: typeof options, { modules }: { modules: unknown[] }) => {
        assert.throws(() => (limits[0] = 2), TypeError);
        assert.throws(() => modules.pop(), TypeError);
        return {};
      },
      edit({ modules: [q] }: { modules: { weight: { rows: number } }[] }) {
        q!.weight.rows = 1;
        return Promise.resolve();
      },
    });
    changes.plan(options as never, given, new Map());
    await assert.rejects(
      changes.edit(given, { options } as never),
      /^TensorpressError: Mine fails in edit of layers\.0: /,
    );
    assert.deepEqual([given, options], [part(), { limits: [1] }]);
  });

  it('gives schemes to modules, and problems in words', () => {
    const model = { config: {}, modules: part().modules, parts: [part()] } as unknown as Model;
    const claims = { schemes: new Map(), places: new Map(), patterns: [], problems: [] as unknown[] };
    const claim = (own: unknown) => () => mine({ schemes: () => own }).schemes!({} as never, model);
    assert.equal(claim(claims)(), claims);
    assert.throws(claim(undefined), /it gives no claims; claimSchemes makes them/);
    assert.throws(claim({ ...claims, schemes: new Map([['p', {}]]) }), /it gives a scheme to p, which is no module$/);
    assert.throws(claim({ ...claims, schemes: new Map([['q', {}]]) }), /the scheme of q has no weights$/);
    assert.throws(claim({ ...claims, problems: ['no'] }), /a problem is \{level/);
  });
});

describe('an observer that is guarded', () => {
  const spec: ValueSpec = { columns: 2, size: 2, args: null, dtype: 'BF16', options: { k: 1 } };
  const values = (own: object): ValueObserver<unknown, unknown> =>
    guardObserver(
      {
        names: ['own'],
        values: { reduce: () => [], init: () => 0, update: () => {}, finish: () => 0, ...own },
      } as Observer,
      'own.ts',
    ).values!;

  it('reduces by what runs inside the graph', () => {
    const reduce = (own: unknown) => () => values({ reduce: () => own }).reduce(spec);
    assert.deepEqual(reduce([{ op: 'squares', with: {} }])(), [{ op: 'squares', with: {} }]);
    const message = /observer own fails in reduce: a reduction is \{op, with\}, and op one of range, squares,/;
    for (const wrong of [[5], [{ op: 'cube', with: {} }], [{ op: 'range' }]]) assert.throws(reduce(wrong), message);
  });

  it('does nothing later', () => {
    const later = values({ update: () => Promise.resolve(), finish: () => Promise.resolve() });
    const seen = { tokens: 1, sequences: 1 };
    assert.throws(() => later.update(0, [], seen, spec), /observer own fails in update: it gives a promise/);
    assert.throws(() => later.finish(0, spec), /observer own fails in finish: it gives a promise/);
  });

  it('cannot change what it is asked about', async () => {
    const grid = makeGrid(2, 4, 1, 4);
    const own = guardObserver(
      {
        names: ['own'],
        weightRange(observation) {
          (observation.grid as { gridRows: number }).gridRows = 1;
          return Promise.resolve({ min: Float32Array.of(0), max: Float32Array.of(0) });
        },
      },
      'own.ts',
    );
    await assert.rejects(own.weightRange!({ grid, args: {} } as never), /observer own fails in weightRange: /);
    assert.equal(grid.gridRows, 2);
  });
});
