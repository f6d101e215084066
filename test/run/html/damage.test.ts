import assert from 'node:assert/strict';
import { damageOf } from '../../../src/run/html/damage.js';
import { depthSeries } from '../../../src/run/html/depth.js';
import type { ModuleReport } from '../../../src/run/report.js';
import { fakeReport } from '../../support/fake-report.js';

function coded(module: string, relMSE: number, rest: Partial<ModuleReport> = {}): ModuleReport {
  const sqnr_db = relMSE === 0 ? null : -10 * Math.log10(relMSE);
  const bytes = { before: 200, after: 50 };
  const figures = { relMSE, sqnr_db, max_error: relMSE, squared_error: relMSE };
  return { module, shape: [10, 10], scheme: null, format: 'dense', bits_per_weight: 4, bytes, ...figures, ...rest };
}

describe('the damage of a run', () => {
  it('is shared out once: a module that is stored with another does not count', () => {
    const embedding = coded('model.embed_tokens', 0.02);
    const head = coded('lm_head', 0.02, { stored_with: 'model.embed_tokens' });
    const { modules, share } = damageOf([head, coded('model.layers.0.a', 0.06), embedding]);
    assert.deepEqual(
      modules.map(m => m.module),
      ['model.layers.0.a', 'model.embed_tokens'],
    );
    assert.deepEqual([share(modules[0]!), share(embedding), share(head)], [0.75, 0.25, undefined]);
  });

  it('is that of all experts of a layer where they are alike', () => {
    const experts = [0, 1, 2].map(i => coded(`model.layers.0.mlp.experts.${i}.up_proj`, 0.01));
    const { groups } = damageOf([...experts, coded('model.layers.0.mlp.shared.up_proj', 0.02)]);
    assert.deepEqual(
      groups.map(({ name, modules, weights }) => [name, modules, weights]),
      [
        ['model.layers.0.mlp.experts.*.up_proj', 3, 0.75],
        ['model.layers.0.mlp.shared.up_proj', 1, 0.25],
      ],
    );
  });

  it('has outliers where a share is twice that of the weights, at most three', () => {
    const usual = Array.from({ length: 20 }, (_, i) => coded(`model.layers.${i}.a`, 0.01));
    const bad = Array.from({ length: 4 }, (_, i) => coded(`model.layers.${i}.b`, 0.1 + i / 100));
    assert.deepEqual(damageOf(usual).outliers, []);
    assert.deepEqual(
      damageOf([...usual, ...bad]).outliers.map(({ name }) => name),
      ['model.layers.3.b', 'model.layers.2.b', 'model.layers.1.b'],
    );
  });

  it('has no shares where squared errors are missing or nothing changed', () => {
    const unmeasured = fakeReport({ squaredErrors: false }).modules;
    assert.deepEqual(damageOf(unmeasured).groups, []);
    assert.equal(damageOf(unmeasured).modules[0]!.module, 'model.layers.0.mlp.down_proj');
    const exact = damageOf([coded('a', 0), coded('b', 0)]);
    assert.deepEqual([exact.groups, exact.sqnr], [[], { worst: null, median: null }]);
    assert.equal(damageOf([]).sqnr, undefined);
  });

  it('gives the worst and the median SQNR', () => {
    const { sqnr } = damageOf([coded('a', 0.1), coded('b', 0.01), coded('c', 0)]);
    assert.deepEqual(sqnr, { worst: 10, median: 20 });
  });
});

describe('the error by depth', () => {
  const series = (modules: ModuleReport[]) => depthSeries(damageOf(modules).modules, modules);

  it('has a series per kind of module, in the order of the model', () => {
    const all = fakeReport().modules;
    const kinds = depthSeries(damageOf(all).modules, all);
    assert.deepEqual(
      kinds.map(({ label, points, lastLayer }) => [label, points.length, lastLayer]),
      ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'].map(kind => [kind, 24, 23]),
    );
    const down = kinds.at(-1);
    assert.deepEqual([down.worst.layer, down.worst.module.module], [0, 'model.layers.0.mlp.down_proj']);
  });

  it('gives median and band of experts', () => {
    const experts = [0.01, 0.05, 0.02].map((e, i) => coded(`model.layers.1.mlp.experts.${i}.up_proj`, e));
    const [only] = series(experts);
    assert.deepEqual(only?.points, [{ layer: 1, median: 0.02, lowest: 0.01, highest: 0.05 }]);
    assert.deepEqual([only.label, only.perLayer, only.lastLayer], ['up_proj', 3, 1]);
  });

  it('tells kinds apart by as much of their names as it takes', () => {
    const names = ['mlp.experts.0.up_proj', 'mlp.shared_expert.up_proj', 'self_attn.q_proj'];
    const modules = names.flatMap(name => [0, 1].map(layer => coded(`model.layers.${layer}.${name}`, 0.01)));
    assert.deepEqual(
      series(modules).map(({ label }) => label),
      ['experts.up_proj', 'shared_expert.up_proj', 'q_proj'],
    );
  });

  it('leaves out what has no depth', () => {
    const modules = ['lm_head', 'model.embed_tokens', 'visual.blocks.0.qkv', '0', 'a.0', `a.${'9'.repeat(400)}.b`];
    assert.deepEqual(series(modules.map(name => coded(name, 0.01))), []);
  });

  it('counts layers whose modules were left as they are', () => {
    const { bytes, shape } = coded('', 1);
    const left = { module: 'model.layers.9.a', shape, scheme: null, format: 'dense', bits_per_weight: 16, bytes };
    const [only] = series([coded('model.layers.0.a', 0.01), coded('model.layers.5.a', 0.02), left]);
    assert.deepEqual([only?.points.map(({ layer }) => layer), only?.lastLayer], [[0, 5], 9]);
  });
});
