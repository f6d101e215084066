import assert from 'node:assert/strict';
import pc from 'picocolors';
import { planLines } from '../../src/cli/plan-view.js';
import { createScreen } from '../../src/cli/screen.js';
import type { ModuleSummary, PlanSummary } from '../../src/run/summary.js';
import { normalizeArgs } from '../../src/schemes/args.js';
import { preset } from '../../src/schemes/presets.js';
import { fakeReport } from '../support/fake-report.js';

const fp8 = normalizeArgs({ num_bits: 8, type: 'float' }).args!;

describe('planLines', () => {
  const screen = { ...createScreen({ quiet: true }), color: pc.createColors(false) };
  const { plan } = fakeReport();
  const moduleOf = (module: string, scheme: ModuleSummary['scheme']): ModuleSummary => ({
    ...{ module, shape: [8, 8], scheme, format: scheme?.format ?? 'dense', bits_per_weight: 8 },
    bytes: { before: 128, after: 64 },
  });
  const rows = (summary: Partial<PlanSummary>) =>
    planLines({ ...plan, modules: [], ...summary }, screen)
      .map(line => line.trim().replace(/ {2,}/g, ' | '))
      .filter(line => /^(quantize|run with|cache|keep|calibration|passes|layers)/.test(line));

  it('has a row for each treatment of weights, activations and cache, and says what calibration is for', () => {
    const { weights, input_activations } = preset('FP8', ['Linear'])!;
    const scheme = { weights, input_activations, output_activations: null, targets: ['Linear'], target: 'Linear' };
    const attention = [0, 1].map(i => ({
      module: `model.layers.${i}.self_attn`,
      queries: i === 0 ? fp8 : null,
      cache: fp8,
    }));
    const modules = [
      moduleOf('a', { ...scheme, format: 'float-quantized' }),
      moduleOf('b', { ...scheme, weights: null, output_activations: fp8, format: 'dense' }),
      moduleOf('lm_head', null),
    ];
    assert.deepEqual(rows({ modules, attention, observed: { hessian: 3, static_minmax: 7 } }), [
      'quantize | 1 | fp8 tensor | inputs fp8 tensor | float-quantized',
      'run with | 1 | inputs fp8 tensor, outputs fp8 tensor',
      'cache | 1 | fp8 tensor | queries fp8 tensor',
      'cache | 1 | fp8 tensor',
      'keep | 2 | b, lm_head',
      'calibration | 3 x hessian, 7 x static_minmax',
    ]);
  });

  it('says what runs through which parts', () => {
    const pass = { stream: 0, observing: [] as string[], edited: [] as string[], pushes: false };
    const observing = { ...pass, observing: ['GPTQModifier'] };
    const passes = [
      { parts: ['embedding'], passes: [{ ...pass, pushes: true }] },
      {
        parts: ['layers.0', 'layers.1', 'layers.2'],
        passes: [observing, { ...pass, stream: 1, edited: ['GPTQModifier'], pushes: true }],
      },
      { parts: ['layers.3', 'layers.4'], passes: [{ ...observing, pushes: true }] },
    ];
    const observed = { hessian: 5 };
    assert.deepEqual(rows({ observed, passes }), [
      'calibration | 5 x hessian',
      'passes | embedding | stream 0: push on',
      'layers.0 ... layers.2 | stream 0: observe for GPTQModifier, then stream 1: push on with the edits of GPTQModifier',
      'layers.3, layers.4 | stream 0: observe for GPTQModifier and push on',
    ]);
  });

  it('says nothing of calibration where there is none', () => {
    assert.deepEqual(rows({ modules: [moduleOf('lm_head', null)] }), ['keep | 1 | lm_head']);
  });
});
