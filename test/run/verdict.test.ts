import assert from 'node:assert/strict';
import { qualityRows } from '../../src/run/quality.js';
import { withQuality, type ModuleReport, type Report } from '../../src/run/report.js';
import { fakeEvaluation, fakeReport } from '../support/fake-report.js';

describe('the verdict', () => {
  const verdict = (options: Parameters<typeof fakeReport>[0]) => fakeReport(options).verdict;
  /** Of a report after changes to its modules, evaluated with this loss. */
  function judged(
    change: (module: ModuleReport) => ModuleReport,
    kind: 'in layers 0-2' | 'everywhere',
    scale = 1,
  ): string {
    const report: Report = fakeReport();
    return withQuality({ ...report, modules: report.modules.map(change) }, fakeEvaluation(kind, 24, scale)).verdict;
  }

  it('names the layers and the weights, and what more bits cost', () => {
    assert.match(
      verdict({ quality: 'in layers 0-2' }),
      /^\d+\.\d\d bits per weight, KL 0\.031 ± 0\.002: the damage is in layers 0-2, most in down_proj; try 8 bits for down_proj there \(\+6\.54 MB\)\.$/,
    );
  });

  it('names the layers alone where no weight stands out', () => {
    const even = (m: ModuleReport) => (m.relMSE === undefined ? m : { ...m, relMSE: 0.01 });
    assert.match(judged(even, 'in layers 0-2'), /in layers 0-2; try 8 bits for layers 0-2 \(\+\d/);
  });

  it('asks for what costs least where the damage is spread', () => {
    assert.match(verdict({ quality: 'everywhere' }), /spread over the layers; try the observer memoryless_mse/);
    const args = (change: object) => (m: ModuleReport) =>
      m.scheme?.weights
        ? { ...m, scheme: { ...m.scheme, weights: { ...m.scheme.weights, observer: 'mse', ...change } } }
        : m;
    assert.match(judged(args({}), 'everywhere'), /try groups of 64 \(\+0\.13 bits per weight\)\.$/);
    assert.match(judged(args({ strategy: 'channel' }), 'everywhere'), /try groups of 128/);
    assert.match(judged(args({ group_size: 32 }), 'everywhere'), /try 8 bits\.$/);
    assert.match(
      judged(args({ num_bits: 8 }), 'everywhere'),
      /try to leave model\.layers\.0\.mlp\.down_proj and its like/,
    );
  });

  it('looks at the head, where its error is larger than that of what it reads', () => {
    const head = (m: ModuleReport) =>
      m.module === 'lm_head' ? { ...m, scheme: fakeReport().modules[1]!.scheme, relMSE: 0.3 } : m;
    assert.match(judged(head, 'everywhere'), /the damage is in lm_head; try 8 bits for lm_head \(\+68\.1 MB\)\.$/);
  });

  it('looks at the inputs, where the weights are nearly exact', () => {
    const exact = (m: ModuleReport) => (m.relMSE === undefined ? m : { ...m, relMSE: 5e-4 });
    const report = fakeReport({ weights: 'fp8' });
    const { verdict } = withQuality({ ...report, modules: report.modules.map(exact) }, fakeEvaluation('everywhere'));
    assert.match(verdict, /the loss is in the inputs; try inputs in 16 bits/);
  });

  it('asks for nothing where nothing is lost', () => {
    assert.match(verdict({ quality: 'equal' }), /KL 0: it predicts exactly as the original does\.$/);
    assert.match(
      judged(m => m, 'everywhere', 0.01),
      /nothing to do/,
    );
    assert.match(verdict({ weights: 'none', quality: 'everywhere' }), /no weight was changed/);
  });
});

describe('the figures of a quality', () => {
  it('have intervals where there are any', () => {
    const rows = qualityRows(fakeReport({ quality: 'everywhere' }).quality!);
    assert.deepEqual(rows[0], {
      figure: 'KL to the original, mean',
      value: '0.0312',
      interval: '0.0292 to 0.0332',
      meaning: 'nats per token; 0 is the same prediction',
    });
    assert.equal(rows.find(({ figure }) => figure === 'perplexity, change')!.value, '+3.7 %');
    assert.equal(qualityRows({ ...fakeReport({ quality: 'equal' }).quality!, intervals: null })[0]!.interval, '');
  });
});
