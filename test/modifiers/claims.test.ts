import assert from 'node:assert/strict';
import { claimSchemes } from '../../src/modifiers/claims.js';
import type { SchemeOptions } from '../../src/modifiers/groups.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model } from '../../src/runtime/model/model.js';
import { random, tinyLlama, writeModel } from '../support/tiny-model.js';

const int = (num_bits: number, more = {}) => ({ num_bits, group_size: 32, ...more });

describe('claimSchemes', () => {
  let llama: Model;
  before(async () => {
    llama = await loadModel(await writeModel(tinyLlama()));
  });

  const claim = (options: SchemeOptions) => claimSchemes(options, llama);
  const uses = (options: SchemeOptions) =>
    claim(options).patterns.map(({ pattern, role, matched, decided }) => `${role} ${pattern} ${matched} ${decided}`);
  const problems = (options: SchemeOptions) =>
    claim(options).problems.map(
      ({ level, path, message, hint = '' }) => `${level} ${path.join('.')}: ${message} | ${hint}`,
    );
  const bits = (options: SchemeOptions) =>
    Object.fromEntries([...claim(options).schemes].map(([name, { weights }]) => [name, weights?.num_bits]));

  it('counts what a pattern matches and what it decides', () => {
    const options = {
      config_groups: {
        rest: { targets: ['Linear'], weights: int(4) },
        mlp: { targets: ['re:.*mlp.*'], weights: int(3) },
        down: { targets: ['model.layers.1.mlp.down_proj'], weights: int(8) },
      },
      ignore: ['lm_head', 're:.*v_proj', 're:.*norm'],
    };
    assert.deepEqual(uses(options), [
      'target Linear 15 6',
      'target re:.*mlp.* 6 5',
      'target model.layers.1.mlp.down_proj 1 1',
      'ignore lm_head 1 1',
      'ignore re:.*v_proj 2 2',
      'ignore re:.*norm 5 0',
    ]);
    assert.deepEqual(problems(options), []);
    const given = bits(options);
    assert.equal(Object.keys(given).length, 12);
    assert.equal(given['model.layers.0.self_attn.q_proj'], 4);
    assert.equal(given['model.layers.0.mlp.down_proj'], 3);
    assert.equal(given['model.layers.1.mlp.down_proj'], 8);
    assert.equal(given['lm_head'], undefined);
  });

  it('says where a module got its scheme from', () => {
    const { places } = claim({ scheme: { W8A16: ['Linear'], W4A16: ['re:.*down_proj'] } });
    assert.deepEqual(places.get('model.layers.0.mlp.down_proj'), ['scheme', 'W4A16']);
    assert.deepEqual(places.get('lm_head'), ['scheme', 'W8A16']);
    assert.deepEqual(claim({ scheme: 'W4A16' }).places.get('lm_head'), ['scheme']);
  });

  it('takes Linear where a preset names no targets', () => {
    assert.deepEqual(uses({ scheme: 'W4A16' }), ['target Linear 15 15']);
  });

  it('refuses two schemes of the same rank, once for all modules', () => {
    const groups = {
      a: { targets: ['re:.*q_proj'], weights: int(4) },
      b: { targets: ['re:.*self_attn.*'], weights: int(8) },
    };
    assert.deepEqual(problems({ config_groups: groups }), [
      'error config_groups.b.targets.0: model.layers.*.self_attn.q_proj: "re:.*q_proj" and "re:.*self_attn.*" match alike and give ' +
        'different schemes | let the patterns exclude each other, or name the module in full in one of them',
    ]);
  });

  it('lets two groups that say the same overlap; the first by code point is written down', () => {
    const groups = {
      z: { targets: ['re:.*self_attn.*'], weights: int(4) },
      a: { targets: ['re:.*q_proj', 're:.*down_proj'], weights: int(4) },
    };
    assert.deepEqual(problems({ config_groups: groups }), []);
    const { schemes } = claim({ config_groups: groups });
    assert.deepEqual(schemes.get('model.layers.0.self_attn.q_proj')!.targets, ['re:.*q_proj', 're:.*down_proj']);
    assert.deepEqual(schemes.get('model.layers.0.self_attn.k_proj')!.targets, ['re:.*self_attn.*']);
  });

  it('keeps modules of an UNQUANTIZED group as they are', () => {
    const options = { scheme: { W4A16: ['Linear'], UNQUANTIZED: ['re:.*mlp.*', 'lm_head'] } };
    assert.deepEqual(Object.keys(bits(options)).length, 8);
    assert.deepEqual(uses(options), ['target Linear 15 8', 'target re:.*mlp.* 6 6', 'target lm_head 1 1']);
  });

  it('overrides observers in every group, but not of dynamic activations', () => {
    const scheme = claim({ scheme: 'W8A8', weight_observer: 'mse', input_observer: 'minmax' }).schemes.get('lm_head')!;
    assert.equal(scheme.weights!.observer, 'mse');
    assert.equal(scheme.input_activations!.observer, null);
    const map = claim({ scheme: 'NVFP4', observer: { weights: 'mse', input: 'minmax' } }).schemes.get('lm_head')!;
    assert.deepEqual([map.weights!.observer, map.input_activations!.observer], ['mse', 'minmax']);
  });

  it('warns of groups of different sizes for weights and inputs', () => {
    const group = {
      targets: ['Linear'],
      weights: int(4),
      input_activations: { num_bits: 8, group_size: 16, dynamic: true },
    };
    assert.deepEqual(problems({ config_groups: { g: group } }), [
      'warning config_groups.g.input_activations.group_size: inputs use groups of 16, weights of 32 | ',
    ]);
  });

  const unmatched: [pattern: string, hint: RegExp][] = [
    ['linear', /did you mean "Linear"\?/],
    ['lm_haed', /did you mean "lm_head"\?/],
    ['self_attn', /write "re:\.\*self_attn\.\*"/],
    ['q_proj', /write "re:\.\*q_proj\$"/],
    ['model.layers.0.mlp.downproj', /did you mean "model\.layers\.0\.mlp\.down_proj"\?/],
    ['qproj', /did you mean "re:\.\*q_proj\$"\?/],
    ['model.layers.*.mlp', /regular expression after re:/],
    ['re:.*q_porj', /did you mean "re:\.\*q_proj"\?/],
    ['re:q_proj$', /write "re:\.\*q_proj\$"/],
    ['re:Linear', /Linear is a class: write it without re:/],
    ['re:.*block_sparse_moe.*', /a re: pattern from the start of a name/],
  ];
  for (const [pattern, hint] of unmatched) {
    it(`refuses the target ${pattern}, which matches nothing, and names what was meant`, () => {
      const [problem] = claim({ scheme: 'W4A16', targets: [pattern] }).problems;
      assert.equal(problem!.level, 'error');
      assert.deepEqual(problem!.path, ['targets', 0]);
      assert.equal(problem!.message, `"${pattern}" matches no module of this model`);
      assert.match(problem!.hint!, hint);
    });
  }

  it('refuses a name in ignore that matches nothing, and warns of such a regular expression', () => {
    const found = problems({ scheme: 'W4A16', ignore: ['lm_haed', 're:.*mlp\\.gate$'] });
    assert.match(
      found[0]!,
      /^error ignore\.0: "lm_haed" in ignore matches no module of this model \| did you mean "lm_head"\?/,
    );
    assert.match(found[1]!, /^warning ignore\.1: "re:\.\*mlp\\\.gate\$" in ignore matches no module/);
    assert.equal(found.length, 2);
  });

  it('refuses targets that match nothing but what cannot be quantized', () => {
    const found = problems({
      scheme: 'W4A16',
      targets: ['LlamaRMSNorm', 'LlamaMLP', 're:.*layers.0.input_layernorm', 'Linear'],
    });
    assert.deepEqual(
      found.map(text => text.split(' | ')[0]),
      [
        'error targets.0: "LlamaRMSNorm" matches only modules that cannot be quantized: model.layers.0.input_layernorm is a LlamaRMSNorm',
        'error targets.1: "LlamaMLP" matches only modules that cannot be quantized: model.layers.0.mlp is a LlamaMLP',
        'error targets.2: "re:.*layers.0.input_layernorm" matches only modules that cannot be quantized: ' +
          'model.layers.0.input_layernorm is a LlamaRMSNorm',
      ],
    );
    assert.deepEqual(problems({ scheme: 'W4A16', targets: ['Module'] }), [], 'everything is a Module, Linears too');
  });

  const fp8 = { num_bits: 8, type: 'float' };
  const LAYERS = ['model.layers.0.self_attn', 'model.layers.1.self_attn'];

  it('gives every attention module the kv_cache_scheme, and the model their heads', () => {
    const { schemes, places, problems: found } = claim({ kv_cache_scheme: { ...fp8, strategy: 'attn_head' } });
    assert.deepEqual(found, []);
    assert.deepEqual([...schemes.keys()], LAYERS);
    for (const { input_activations, weights, attention } of schemes.values()) {
      assert.deepEqual([input_activations, weights], [null, null]);
      assert.equal(attention!.cache.observer, 'static_minmax', 'because the last batch alone says little');
      assert.deepEqual([attention!.heads, attention!.dtype], [{ q: 4, kv: 2 }, 'BF16']);
    }
    assert.deepEqual(places.get(LAYERS[0]!), ['kv_cache_scheme']);
  });

  for (const target of ['LlamaAttention', 're:.*self_attn$']) {
    it(`quantizes queries, and keys and values alike, where a group names ${target}`, () => {
      const options = { config_groups: { a: { targets: [target], input_activations: fp8 } } };
      const { schemes } = claim(options);
      assert.deepEqual(problems(options), []);
      assert.deepEqual(uses(options), [`target ${target} 2 2`]);
      assert.deepEqual([...schemes.keys()], LAYERS);
      const { input_activations, attention, format, targets } = schemes.get(LAYERS[1]!)!;
      assert.equal(attention!.cache, input_activations);
      assert.deepEqual([format, targets], ['dense', [target]]);
    });
  }

  it('lets kv_cache_scheme decide on keys and values, and ignore on the group', () => {
    const config_groups = { a: { targets: ['LlamaAttention'], input_activations: fp8 } };
    const { schemes } = claim({ config_groups, kv_cache_scheme: { num_bits: 4 }, ignore: [LAYERS[0]!] });
    const bitsOf = (name: string) => {
      const { input_activations, attention } = schemes.get(name)!;
      return [input_activations?.num_bits, attention!.cache.num_bits];
    };
    assert.deepEqual(LAYERS.map(bitsOf), [
      [undefined, 4],
      [8, 4],
    ]);
  });

  it('keeps a group with weights to the Linears of an attention module', () => {
    const options = { scheme: 'FP8_DYNAMIC', targets: ['re:.*self_attn.*'] };
    assert.deepEqual(problems(options), []);
    assert.deepEqual(uses(options), ['target re:.*self_attn.* 8 8']);
  });

  it('refuses weights and outputs of attention, and a group for attention that readers would not find', () => {
    const output = { targets: ['LlamaAttention'], input_activations: fp8, output_activations: fp8 };
    for (const group of [{ targets: ['LlamaAttention'], weights: int(4) }, output]) {
      assert.deepEqual(problems({ config_groups: { g: group } }), [
        'error config_groups.g.targets.0: "LlamaAttention" matches attention, which takes input_activations and nothing else | ' +
          'give its Linears a scheme: write "re:.*self_attn\\..*"',
      ]);
    }
    const groups = {
      linears: { targets: ['re:.*self_attn.*'], weights: int(4) },
      attention: { targets: ['LlamaAttention'], input_activations: fp8 },
    };
    const [found] = problems({ config_groups: groups });
    assert.match(
      found!,
      /^error config_groups\.attention\.targets\.0: model\.layers\.\*\.self_attn: .*different schemes/,
    );
  });

  it('wants no heads of a cache without scales, and a model that can be run for one with scales', async () => {
    const { config, tensors } = tinyLlama({ layers: 1 });
    const unknown = { ...config, architectures: ['OddForCausalLM'], model_type: 'odd' };
    const model = await loadModel(await writeModel({ config: unknown, tensors }));
    const dynamic = claimSchemes({ kv_cache_scheme: { ...fp8, strategy: 'token', dynamic: true } }, model);
    assert.deepEqual(dynamic.problems, []);
    assert.equal(dynamic.schemes.get(LAYERS[0]!)!.attention!.heads, undefined);
    const [problem, ...others] = claimSchemes({ kv_cache_scheme: fp8 }, model).problems;
    assert.deepEqual(others, []);
    assert.deepEqual([problem!.level, problem!.path], ['error', ['kv_cache_scheme']]);
    assert.match(problem!.message, /OddForCausalLM cannot be run/);
  });

  it('says so when a Linear is out of reach', async () => {
    const { config, tensors } = tinyLlama({ layers: 1 });
    const tower = { ...tensors, 'vision_tower.blocks.0.fc1.weight': random([32, 32], 9) };
    const model = await loadModel(await writeModel({ config, tensors: tower }));
    const [problem] = claimSchemes({ scheme: 'W4A16', targets: ['re:vision_tower.*fc1'] }, model).problems;
    assert.match(problem!.message, /vision_tower\.blocks\.0\.fc1 is outside the language model/);
  });
});
