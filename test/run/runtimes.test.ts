import assert from 'node:assert/strict';
import { runtimeAdvice } from '../../src/run/runtimes.js';
import type { QuantizationScheme } from '../../src/schemes/args.js';
import { inferFormat } from '../../src/schemes/formats.js';
import { preset } from '../../src/schemes/presets.js';
import { normalizeScheme } from '../../src/schemes/scheme.js';

function scheduled(scheme: QuantizationScheme, kind = 'Linear') {
  const { weights, input_activations, output_activations, targets } = scheme;
  return {
    kind,
    scheme: { weights, input_activations, output_activations, format: inferFormat(scheme), targets, target: '' },
  };
}

const vllm = (scheme: QuantizationScheme, kind?: string) =>
  runtimeAdvice([scheduled(scheme, kind)]).find(({ runtime }) => runtime === 'vLLM')!.reason;

const group = (weights: object, more: object = {}) =>
  normalizeScheme({ targets: ['Linear'], weights, ...more }).scheme!;

describe('runtimeAdvice', () => {
  for (const name of [
    'W4A16',
    'W8A16',
    'W4A16_ASYM',
    'W8A8',
    'FP8_DYNAMIC',
    'FP8_BLOCK',
    'NVFP4A16',
    'NVFP4',
    'MXFP4',
    'UNQUANTIZED',
  ]) {
    it(`knows nothing against ${name}`, () => assert.equal(vllm(preset(name, ['Linear'])!), undefined));
  }

  const against: [what: string, scheme: QuantizationScheme, reason: RegExp, kind?: string][] = [
    ['3 bits', preset('W3A16', ['Linear'])!, /kernels for packed weights of 4 and 8 bits, not of 3/],
    ['groups of 16', group({ num_bits: 4, group_size: 16 }), /groups of 32, 64 and 128, not of 16/],
    ['packed weights by tensor', group({ num_bits: 4, strategy: 'tensor' }), /by group or channel, not by tensor/],
    ['narrow integers in whole bytes', preset('W4A8', ['Linear'])!, /int8 weights under int8 inputs/],
    [
      'asymmetric int8',
      group(
        { num_bits: 8, strategy: 'channel', symmetric: false },
        { input_activations: { num_bits: 8, strategy: 'token', dynamic: true } },
      ),
      /symmetric weights/,
    ],
    ['fp8 in groups', group({ num_bits: 8, type: 'float', group_size: 64 }), /not by group/],
    ['embeddings', preset('W4A16', ['Embedding'])!, /quantized embeddings for few models/, 'Embedding'],
  ];
  for (const [what, scheme, reason, kind] of against) {
    it(`advises against ${what}`, () => assert.match(vllm(scheme, kind)!, reason));
  }

  it('takes the first reason of any module, and each runtime by itself', () => {
    const advice = runtimeAdvice([scheduled(preset('W4A16', ['Linear'])!), scheduled(preset('W3A16', ['Linear'])!)]);
    assert.deepEqual(
      advice.map(({ runtime, loads, checked }) => [runtime, loads, checked]),
      [
        ['transformers', true, true],
        ['vLLM', false, false],
      ],
    );
    assert.ok(
      runtimeAdvice([]).every(({ loads }) => loads),
      'a model without schemes',
    );
  });
});
