import assert from 'node:assert/strict';
import { runtimeAdvice } from '../../src/run/runtimes.js';
import { normalizeArgs, type QuantizationScheme } from '../../src/schemes/args.js';
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
    'FP8',
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

  it('advises against quantized outputs', () => {
    const scheme = group({ num_bits: 8, type: 'float' }, { output_activations: { num_bits: 8, type: 'float' } });
    assert.equal(vllm(scheme), 'does not quantize outputs');
  });

  it('knows what vLLM keeps in its cache', () => {
    const of = (cache: object) => {
      const { scheme } = scheduled(preset('UNQUANTIZED', [])!);
      const attention = { cache: normalizeArgs(cache).args!, dtype: 'BF16' as const };
      return runtimeAdvice([{ kind: 'LlamaAttention', scheme: { ...scheme, attention } }]).map(({ reason }) => reason);
    };
    assert.deepEqual(of({ num_bits: 8, type: 'float' }), [undefined, undefined]);
    assert.deepEqual(of({ num_bits: 8 }), [undefined, 'keeps keys and values in fp8, by no other kv_cache_scheme']);
    assert.match(of({ num_bits: 8, type: 'float', strategy: 'attn_head' })[1]!, /only where it runs FlashAttention 3/);
  });

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
