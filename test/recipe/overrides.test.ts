import assert from 'node:assert/strict';
import { parseRecipe } from '../../src/recipe/parse.js';
import { findings, one } from './support.js';

const GPTQ = one('GPTQModifier', '{scheme: W4A16, targets: Linear}');

function applied(text: string, ...overrides: string[]) {
  return parseRecipe(text, { overrides }).recipe;
}

describe('overrides', () => {
  it('set a value, which is YAML', () => {
    const { modifiers } = applied(
      GPTQ,
      'modifiers.0.GPTQModifier.block_size=64',
      'modifiers.0.GPTQModifier.ignore=[lm_head, "re:.*gate$"]',
      'modifiers.0.GPTQModifier.actorder=null',
      'modifiers.0.GPTQModifier.dampening_frac=1e-2',
    );
    assert.deepEqual(modifiers[0], {
      GPTQModifier: {
        scheme: 'W4A16',
        targets: ['Linear'],
        ignore: ['lm_head', 're:.*gate$'],
        block_size: 64,
        dampening_frac: 0.01,
        actorder: null,
      },
    });
  });

  it('make what does not exist yet', () => {
    const recipe = applied(
      GPTQ,
      'calibration.samples=3',
      'outputs.0.format=gguf',
      'outputs.0.type=q4_k_m',
      'outputs.1={format: compressed-tensors}',
    );
    assert.deepEqual(recipe.calibration, { samples: 3 });
    assert.deepEqual(recipe.outputs, [{ format: 'gguf', type: 'Q4_K_M' }, { format: 'compressed-tensors' }]);
  });

  it('are applied to the native form, whatever the form of the text', () => {
    const stages = 'a_stage:\n  b_modifiers:\n    GPTQModifier: {scheme: W4A16}\n';
    assert.deepEqual(applied(stages, 'modifiers.0.GPTQModifier.scheme=W8A8').modifiers, [
      { GPTQModifier: { scheme: 'W8A8' } },
    ]);
  });

  it('replace, add and index items of lists, also of a list that is written as a single text', () => {
    assert.deepEqual(
      applied(GPTQ, 'modifiers.0.GPTQModifier.targets.1=Embedding').modifiers[0]!['GPTQModifier']!['targets'],
      ['Linear', 'Embedding'],
    );
    assert.deepEqual(
      applied(GPTQ, 'modifiers.0.GPTQModifier.targets.0=Embedding').modifiers[0]!['GPTQModifier']!['targets'],
      ['Embedding'],
    );
    assert.equal(
      applied(GPTQ, 'modifiers.1={QuantizationModifier: {scheme: W8A16, targets: [Embedding]}}').modifiers.length,
      2,
    );
  });

  it('unset a value with null, and take names with dots in quotes', () => {
    const groups = one(
      'QuantizationModifier',
      '{config_groups: {a.b: {targets: [Linear], weights: {num_bits: 4, observer: mse}}}}',
    );
    const { modifiers } = applied(groups, 'modifiers.0.QuantizationModifier.config_groups."a.b".weights.observer=');
    assert.deepEqual(modifiers[0], {
      QuantizationModifier: { config_groups: { 'a.b': { targets: ['Linear'], weights: { num_bits: 4 } } } },
    });
  });

  it('name the argument and the place in it when they are wrong', () => {
    const wrong = [
      'modifiers.0.GPTQModifier.block_size=many',
      'modifiers.0.QuantizationModifier.scheme=W8A8',
      'modifiers.7.GPTQModifier.block_size=1',
      'modifiers.0.GPTQModifier.scheme.x=1',
      'block_size',
      '=3',
      'calibration.dataset=[a',
      'a.__proto__.b=1',
      'calibration.dataset=&a *a',
    ];
    assert.deepEqual(findings(GPTQ, { overrides: wrong }), [
      '1:37 block_size must be a whole number, not "many"',
      '2:13 "QuantizationModifier" is not there, the modifier is GPTQModifier',
      '3:11 "7" is not an index of this list',
      '4:33 "x" is looked for inside a single value',
      '5:1 an override is PATH=VALUE',
      '6:1 an override is PATH=VALUE',
      '7:23 the closing ] is missing',
      '8:1 unknown field "a"',
      '8:3 "__proto__" cannot be a key',
      '9:24 an alias node must not specify any properties',
    ]);
  });
});
