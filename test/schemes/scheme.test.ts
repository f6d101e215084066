import assert from 'node:assert/strict';
import { inferFormat } from '../../src/schemes/formats.js';
import { preset, presetNames } from '../../src/schemes/presets.js';
import { normalizeScheme, sameScheme } from '../../src/schemes/scheme.js';
import { serializeArgs, type QuantizationArgs, type QuantizationScheme } from '../../src/schemes/args.js';
import { goldenJson } from '../support/golden.js';

interface Inference {
  scheme?: string;
  weights?: Record<string, unknown> | null;
  input_activations?: Record<string, unknown> | null;
  format: string;
}

const expand = (scheme: QuantizationScheme): Record<string, unknown> => {
  const args = (a: QuantizationArgs | null): unknown => a && serializeArgs(a);
  const { weights, input_activations, output_activations } = scheme;
  return {
    ...scheme,
    weights: args(weights),
    input_activations: args(input_activations),
    output_activations: args(output_activations),
  };
};

const problemsOf = (scheme: unknown): string[] =>
  (normalizeScheme(scheme).problems ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('presets', () => {
  const presets = goldenJson<Record<string, Record<string, unknown>>>('compressed-tensors/presets.json');
  if (presets === undefined)
    it('golden presets', function () {
      this.skip();
    });
  Object.entries(presets ?? {}).forEach(([name, expected]) => {
    it(`golden presets: ${name}`, () => {
      assert.deepEqual(expand(preset(name.toLowerCase(), expected['targets'] as string[])!), expected);
      assert.ok(presetNames().includes(name));
    });
  });

  it('are valid schemes, fresh each time; other names are none', () => {
    for (const name of presetNames()) {
      const scheme = preset(name, ['Linear'])!;
      assert.deepEqual(normalizeScheme(scheme).scheme, scheme);
      assert.notEqual(preset(name, ['Linear']), scheme);
    }
    const changed = preset('W4A16', ['Linear'])!;
    changed.weights!.num_bits = 3;
    assert.equal(preset('W4A16', ['Linear'])!.weights!.num_bits, 4);
    assert.equal(preset('W4A17', ['Linear']), undefined);
    assert.equal(preset('toString', ['Linear']), undefined);
  });
});

describe('formats', () => {
  const cases = goldenJson<{ format_inference?: Inference[] }>(
    'compressed-tensors/golden-extra.json',
  )?.format_inference;
  if (cases === undefined)
    it('golden format_inference', function () {
      this.skip();
    });
  cases?.forEach(c => {
    it(`golden format_inference: ${c.scheme ?? JSON.stringify([c.weights, c.input_activations])} is ${c.format}`, function () {
      const { weights = null, input_activations = null } = c;
      const scheme =
        c.scheme === undefined
          ? normalizeScheme({ targets: ['Linear'], weights, input_activations }).scheme
          : preset(c.scheme, ['Linear']);
      if (scheme === undefined && Number(weights?.['num_bits']) > 8) return this.skip(); // tensorpress has no such integers
      assert.equal(inferFormat(scheme!), c.format);
    });
  });

  it("a scheme's own format comes first", () => {
    assert.equal(inferFormat({ ...preset('W4A8', ['Linear'])!, format: 'pack-quantized' }), 'pack-quantized');
  });
});

describe('schemes', () => {
  it('static activations without an observer see every batch', () => {
    const { scheme } = normalizeScheme({
      targets: ['Linear'],
      weights: {},
      input_activations: {},
      output_activations: {},
    });
    const observers = [scheme!.weights, scheme!.input_activations, scheme!.output_activations].map(
      args => args!.observer,
    );
    assert.deepEqual(observers, ['memoryless_minmax', 'static_minmax', 'static_minmax']);
    assert.equal(scheme!.format, null);
  });

  it('reports everything at once, each where it is', () => {
    assert.deepEqual(
      problemsOf({
        targets: ['Linear', 're:.*(q_proj'],
        weights: { num_bits: 0 },
        input_activations: { strategy: 'channel', actorder: 'weight' },
        format: 'mixed-precision',
        x: 1,
      }).map(text => text.split(':')[0]),
      ['x', 'format', 'targets.1', 'weights.num_bits', 'input_activations.actorder', 'input_activations.strategy'],
    );
    assert.deepEqual(problemsOf({}), [': a scheme needs targets']);
    assert.equal(problemsOf({ targets: 'Linear' }).length, 1);
    assert.equal(problemsOf(null).length, 1);
  });

  it('different groups of weights and inputs are worth a warning', () => {
    const scheme = {
      targets: ['Linear'],
      weights: { group_size: 64 },
      input_activations: { group_size: 32, dynamic: true },
    };
    assert.deepEqual(
      normalizeScheme(scheme).warnings!.map(({ message }) => message),
      ['inputs use groups of 32, weights of 64'],
    );
    assert.deepEqual(normalizeScheme(preset('MXFP4', ['Linear'])).warnings, []);
  });

  it('are the same when targets, args and format are', () => {
    const a = preset('W8A8', ['Linear'])!;
    assert.ok(sameScheme(a, preset('INT8', ['Linear'])!));
    assert.ok(!sameScheme(a, preset('W8A8', ['lm_head'])!));
    assert.ok(!sameScheme(a, { ...a, format: 'int-quantized' }));
    assert.ok(!sameScheme(a, { ...a, input_activations: null }));
  });
});
