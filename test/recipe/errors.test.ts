import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { frameOf } from '../../src/recipe/frame.js';
import { bundle, resolve } from '../../src/recipe/schema.js';
import { Source } from '../../src/recipe/source.js';
import { findings, one, rejected, shown } from './support.js';

/** Trims the indentation that a template literal has here. */
function text(strings: TemplateStringsArray): string {
  return strings.raw[0]!.replace(/^\n/, '').replace(/\n *$/, '').replace(/^ {6}/gm, '');
}

describe('recipe errors in the terminal', () => {
  it('a misspelt field', () => {
    assert.equal(
      shown(
        one(
          'GPTQModifier',
          '\n      config_groups:\n        g:\n          targets: [Linear]\n          weights:\n            group_sise: 128',
        ),
      ),
      text`
      r.yaml: 1 error

        8:13  unknown field "group_sise"
           7 |           weights:
           8 |             group_sise: 128
             |             ^^^^^^^^^^
             a field of config_groups.weights; did you mean "group_size"?`,
    );
  });

  it('a misspelt observer', () => {
    assert.equal(
      shown(one('QuantizationModifier', '\n      scheme: FP8\n      input_observer: minmaxx')),
      text`
      r.yaml: 1 error

        5:23  input_observer "minmaxx" does not exist
           4 |       scheme: FP8
           5 |       input_observer: minmaxx
             |                       ^^^^^^^
             did you mean "minmax"? one of minmax, static_minmax, memoryless_minmax, mse, memoryless_mse, nvfp4_expanded_mse, imatrix_mse, percentile`,
    );
  });

  it('a misspelt modifier', () => {
    assert.equal(
      shown(one('QuantisationModifier', '{scheme: W4A16}')),
      text`
      r.yaml: 1 error

        3:5  modifier "QuantisationModifier" does not exist
           2 | modifiers:
           3 |   - QuantisationModifier: {scheme: W4A16}
             |     ^^^^^^^^^^^^^^^^^^^^
             did you mean "QuantizationModifier"?`,
    );
  });

  it('a misspelt preset, in both places', () => {
    assert.equal(
      shown(`${one('QuantizationModifier', '{scheme: W4A61}')}  - GPTQModifier: {scheme: {FP9: [Linear]}}\n`),
      text`
      r.yaml: 2 errors

        3:36  scheme "W4A61" does not exist
           2 | modifiers:
           3 |   - QuantizationModifier: {scheme: W4A61}
             |                                    ^^^^^
             did you mean "W4A16"?

        4:29  scheme "FP9" does not exist
           3 |   - QuantizationModifier: {scheme: W4A61}
           4 |   - GPTQModifier: {scheme: {FP9: [Linear]}}
             |                             ^^^
             did you mean "FP8"?`,
    );
  });

  it('YAML 1.1 booleans and quoted numbers', () => {
    assert.equal(
      shown(
        one(
          'QuantizationModifier',
          '\n      config_groups:\n        g:\n          targets: Linear\n          weights: {num_bits: "4", symmetric: yes}',
        ),
      ),
      text`
      r.yaml: 2 errors

        7:31  num_bits must be a whole number, not "4"
           6 |           targets: Linear
           7 |           weights: {num_bits: "4", symmetric: yes}
             |                               ^^^
             write 4 without quotes

        7:47  symmetric must be true or false, not "yes"
           6 |           targets: Linear
           7 |           weights: {num_bits: "4", symmetric: yes}
             |                                               ^^^
             YAML 1.2 knows only true and false: write true`,
    );
  });

  it('a modifier without options', () => {
    assert.equal(
      shown('quant_stage:\n  quant_modifiers:\n    GPTQModifier:\n'),
      text`
      r.yaml: 1 error

        3:5  GPTQModifier has no options
           2 |   quant_modifiers:
           3 |     GPTQModifier:
             |     ^^^^^^^^^^^^
             write its options below it, or "GPTQModifier: {}" if it needs none`,
    );
  });

  it('options that are not indented', () => {
    assert.equal(
      shown('version: 1\nmodifiers:\n  - GPTQModifier:\n    scheme: W4A16\n'),
      text`
      r.yaml: 1 error

        4:5  an item of modifiers has one key, the class; here "scheme" follows "GPTQModifier"
           3 |   - GPTQModifier:
           4 |     scheme: W4A16
             |     ^^^^^^
             indent it further: options stand below GPTQModifier`,
    );
  });

  it('a stage and a group without their suffixes', () => {
    assert.equal(
      shown('quant:\n  modifier:\n    QuantizationModifier: {scheme: W4A16}\n'),
      text`
      r.yaml: 2 errors

        1:1  the name of a stage ends in _stage, "quant" does not
           1 | quant:
             | ^^^^^
             did you mean "quant_stage"?

        2:3  the name of a group ends in _modifiers, "modifier" does not
           1 | quant:
           2 |   modifier:
             |   ^^^^^^^^
             did you mean "quant_modifiers"?`,
    );
  });

  it('a list where a map is meant', () => {
    assert.equal(
      shown('quant_stage:\n  quant_modifiers:\n    - QuantizationModifier: {scheme: W4A16}\n'),
      text`
      r.yaml: 1 error

        2:3  "quant_modifiers" is a list where a map is meant
           1 | quant_stage:
           2 |   quant_modifiers:
             |   ^^^^^^^^^^^^^^^
             write each modifier as "Class: {...}", without "- "`,
    );
  });

  it('a duplicate key', () => {
    assert.equal(
      shown('version: 1\nmodifiers:\n  - GPTQModifier:\n      scheme: W4A16\n      scheme: W8A8\n'),
      text`
      r.yaml: 1 error

        5:7  "scheme" stands here a second time, the first is on line 4
           4 |       scheme: W4A16
           5 |       scheme: W8A8
             |       ^^^^^^
             keep one of them`,
    );
  });

  it('a Python tag', () => {
    assert.equal(
      shown(
        one(
          'SmoothQuantModifier',
          '\n      mappings:\n      - !!python/tuple\n        - [re:.*q_proj]\n        - re:.*input_layernorm',
        ),
      ),
      text`
      r.yaml: 1 error

        5:9  the tag "!!python/tuple" is not read: a recipe is plain data
           4 |       mappings:
           5 |       - !!python/tuple
             |         ^^^^^^^^^^^^^^
             remove "!!python/tuple" from line 5; a plain list or map means the same`,
    );
  });

  it('a scheme that contradicts itself', () => {
    assert.equal(
      shown(
        one(
          'QuantizationModifier',
          '\n      config_groups:\n        g:\n          targets: [Linear]\n          weights:\n            strategy: group',
        ),
      ),
      text`
      r.yaml: 1 error

        8:23  strategy group needs a group_size above 0
           7 |           weights:
           8 |             strategy: group
             |                       ^^^^^
             add group_size: 128`,
    );
  });

  it('weights at the level of the modifier, as an older guide has it', () => {
    assert.equal(
      shown(
        'quant_stage:\n  quant_modifiers:\n    GPTQModifier:\n      weights: {observer: mse}\n      targets: [Linear]\n',
      ),
      text`
      r.yaml: 1 error

        4:7  unknown field "weights"
           3 |     GPTQModifier:
           4 |       weights: {observer: mse}
             |       ^^^^^^^
             "weights" is a field of config_groups, observer, not of GPTQModifier`,
    );
  });

  it('YAML that does not parse', () => {
    assert.equal(
      shown('version: 1\nmodifiers:\n  - GPTQModifier: {ignore: ["re:.*\\.q_proj$"]}\n'),
      text`
      r.yaml: 1 error

        3:35  unknown escape in a double-quoted text
           2 | modifiers:
           3 |   - GPTQModifier: {ignore: ["re:.*\.q_proj$"]}
             |                                   ^
             write \\ for a backslash, or use single quotes: 're:.*\.q_proj$'`,
    );
  });

  it('an override', () => {
    assert.equal(
      shown(one('GPTQModifier', '{scheme: W4A16}'), {
        overrides: ['modifiers.0.GPTQModifier.block_size=64', 'calibration.sampels=3'],
      }),
      text`
      r.yaml: 1 error

        --set 2:13  unknown field "sampels"
           2 | calibration.sampels=3
             |             ^^^^^^^
             a field of calibration; did you mean "samples"?`,
    );
  });

  it('cuts long lines around the place and shows nothing that could disturb the terminal', () => {
    const long = `{ignore: [${Array.from({ length: 30 }, (_, i) => `layer_${i}`).join(', ')}], shceme: "\u0007W4A16"}`;
    const lines = shown(one('GPTQModifier', long)).split('\n');
    const [row, caret] = [lines.findIndex(line => line.includes('…')), lines.findIndex(line => line.includes('^'))];
    assert.equal(lines[row]!.slice(lines[caret]!.indexOf('^'), lines[caret]!.lastIndexOf('^') + 1), 'shceme');
    assert.ok(lines.every(line => line.length < 130));
    assert.doesNotMatch(lines.join(''), /[\u0000-\u001f]/);
  });
});

describe('a caret frame', () => {
  it('shows a place at the end of a long line, and at its line break', () => {
    const source = new Source('r', `${'x'.repeat(150)}\r\nshort`);
    for (const from of [149, 150, 151]) {
      const [row, carets] = frameOf({ source, from, to: from + 1, pointer: '' }).split('\n');
      const column = carets!.indexOf('^');
      assert.equal(carets!.trim(), '| '.padEnd(column - 7) + '^');
      assert.ok(row!.length - column <= 1 && column <= row!.length && row!.length <= 109);
    }
  });

  it('shows an empty line, and a place behind the text', () => {
    const source = new Source('r', 'a\n\n');
    assert.equal(frameOf({ source, from: 2, to: 2, pointer: '' }), '     1 | a\n     2 |\n       | ^');
    assert.equal(frameOf({ source, from: 3, to: 9, pointer: '' }), '     3 |\n       | ^');
  });

  it('marks only the first line of a value with many', () => {
    const source = new Source('r', 'key: [a,\n  b]\n');
    assert.equal(frameOf({ source, from: 5, to: 13, pointer: '' }), '     1 | key: [a,\n       |      ^^^');
  });
});

describe('recipe errors', () => {
  it('come all at once, in the order of the text', () => {
    const recipe = [
      'version: 1',
      'modifiers:',
      '  - AWQModifier: {n_grid: 0, duo_scaling: maybe}',
      '  - SparseGPTModifier: {sparsity: 1.5, sparsity_profile: owl, mask_structure: 4:2}',
      '  - SpinQuantModifier: {rotations: [R1, R5], learnable: true}',
      'calibration: {samples: many, seed: -1}',
      'outputs:',
      '  - {format: onnx}',
      '  - {format: gguf}',
      'evaluation: {context: 512, prompts: ./p.txt, generate: 0}',
      'extra: 1',
    ];
    assert.deepEqual(findings(recipe.join('\n')), [
      '3:5 AWQModifier only rescales, and no quantization modifier follows it',
      '3:27 n_grid must be at least 1, not 0',
      '3:43 duo_scaling "maybe" does not exist',
      '4:35 sparsity must be from 0 to 1, not 1.5',
      '4:58 the owl profile needs three fields together',
      '4:79 mask_structure 4:2 zeroes 4 of 2 weights',
      '5:41 rotations "R5" does not exist',
      '5:57 learnable must be false, not true',
      '6:24 samples must be a whole number, not "many"',
      '6:36 seed must be at least 0, not -1',
      '8:14 format "onnx" does not exist',
      '9:5 item 2 of outputs needs "type"',
      '10:1 evaluation needs "data"',
      '10:56 generate must be at least 1, not 0',
      '11:1 unknown field "extra"',
    ]);
  });

  it('say so where there are prompts and nothing to generate', () => {
    const modifiers = 'modifiers: [QuantizationModifier: {scheme: W4A16, targets: [Linear]}]';
    assert.deepEqual(findings(`version: 1\n${modifiers}\nevaluation: {data: a.txt, prompts: p.txt}\n`), [
      '3:36 there are prompts, but nothing is to be generated',
    ]);
  });

  it('name the place as a JSON pointer into the text as written', () => {
    const stages =
      'a_stage:\n  b_modifiers:\n    GPTQModifier: {scheme: W4A16, block_size: x}\n    "re/d~Modifier": {}\n';
    assert.deepEqual(
      rejected(stages).diagnostics.map(({ path }) => path),
      ['/a_stage/b_modifiers/GPTQModifier/block_size', '/a_stage/b_modifiers/re~1d~0Modifier'],
    );
  });

  it('place an aliased value where it is written', () => {
    const recipe =
      'version: 1\nmodifiers:\n  - QuantizationModifier:\n      config_groups:\n        a: {targets: [Linear], weights: &w {num_bits: 99}}\n        b: {targets: [Linear], weights: *w}\n';
    const { diagnostics } = rejected(recipe);
    assert.deepEqual(
      diagnostics.map(({ line, column, path }) => ({ line, column, path })),
      [{ line: 5, column: 55, path: '/modifiers/0/QuantizationModifier/config_groups/a/weights/num_bits' }],
    );
  });

  it('count columns in code points', () => {
    assert.deepEqual(findings(one('GPTQModifier', '{ignore: ["😀é"], x: 1}')), ['3:36 unknown field "x"']);
  });

  it('are one per cause in unions', () => {
    const cases: [string, string, string[]][] = [
      ['GPTQModifier', '{scheme: [W4A16]}', ['3:28 scheme must be text or a map, not a list']],
      ['GPTQModifier', '{scheme: {W4A16: 3}}', ['3:36 W4A16 must be a list, not 3']],
      ['SparseGPTModifier', '{sparsity: high}', ['3:35 sparsity must be a number or a list, not "high"']],
      ['SparseGPTModifier', '{sparsity: [0.5, 2]}', ['3:41 item 2 of sparsity must be from 0 to 1, not 2']],
      ['SmoothQuantModifier', '{mappings: [[re:.*q_proj]]}', ['3:38 item 1 of mappings has the wrong number of items']],
      ['GPTQModifier', '{scheme: W4A16, actorder: 3}', ['3:45 actorder must be text, not 3']],
      ['GPTQModifier', '{scheme: W4A16, observer: mse}', ['3:45 observer must be a map, not "mse"']],
    ];
    for (const [type, options, expected] of cases) assert.deepEqual(findings(one(type, options)), expected, options);
  });

  it('are found for every field of every modifier, one for each wrong value', () => {
    const full = bundle();
    const { properties } = full.$defs!['modifiers']!;
    const values = [
      '3',
      '-1',
      '0.5',
      'word',
      '"3"',
      'yes',
      'true',
      '[]',
      '{}',
      '[[]]',
      '[3]',
      '{a: b}',
      '{a: {b: [3]}}',
      '"re:("',
    ];
    let refused = 0;
    for (const [type, modifier] of Object.entries(properties!)) {
      for (const field of Object.keys(resolve(modifier, full).properties!)) {
        for (const value of values) {
          try {
            parseRecipe(one(type, `{${field}: ${value}}`));
          } catch (error) {
            assert.ok(
              error instanceof TensorpressError && error.code === 'RECIPE',
              `${type}.${field}: ${value}: ${String(error)}`,
            );
            const path = `/modifiers/0/${type}/${field}`;
            const own = error.diagnostics.filter(({ code, path: found }) => found === path && code !== 'missing-field');
            assert.ok(own.length <= 1, `${type}.${field}: ${value}: ${own.map(({ message }) => message).join('; ')}`);
            refused += own.length;
          }
        }
      }
    }
    assert.ok(refused > 500);
  });

  it('stay readable when there are thousands', () => {
    const error = rejected(one('GPTQModifier', `{targets: [${'1, '.repeat(5000)}]}`));
    assert.equal(error.message, 'recipe: 5000 errors, the first 100 are shown');
    assert.equal(error.diagnostics.length, 100);
  });

  it('point from a misplaced field to its home', () => {
    const hints = rejected(one('AWQModifier', '{scheme: W4A16}')).diagnostics.map(({ hint }) => hint);
    assert.deepEqual(hints, [
      'add a QuantizationModifier or GPTQModifier after it',
      '"scheme" is a field of QuantizationModifier, GPTQModifier, AutoRoundModifier, not of AWQModifier',
    ]);
  });
});
