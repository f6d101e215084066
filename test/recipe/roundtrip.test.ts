import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { parse } from 'yaml';
import { parseRecipe } from '../../src/recipe/parse.js';
import { printRecipe } from '../../src/recipe/print.js';
import { mergedSchema } from '../../src/recipe/schema.js';
import { presetNames } from '../../src/schemes/presets.js';
import { one, roundTrip } from './support.js';

const RUNS = Number(process.env['TENSORPRESS_FUZZ'] ?? 200);

describe('normal form', () => {
  const normal: [written: string, modifier: string, value: unknown][] = [
    [
      '{scheme: W4A16, targets: Linear, ignore: lm_head}',
      'QuantizationModifier',
      { scheme: 'W4A16', targets: ['Linear'], ignore: ['lm_head'] },
    ],
    ['{scheme: {fp8: Linear}}', 'QuantizationModifier', { scheme: { fp8: ['Linear'] } }],
    [
      '{ignore: [], scheme: w4a16, index: 3, group: x, start: 0, end: 1.5, update: null, requires_calibration_data: true}',
      'QuantizationModifier',
      { scheme: 'w4a16', ignore: [] },
    ],
    [
      '{scheme: FP8, weight_observer: MSE, input_observer: Static-MinMax}',
      'QuantizationModifier',
      { scheme: 'FP8', weight_observer: 'MSE', input_observer: 'Static-MinMax' },
    ],
    [
      '{scheme: W4A16, config_groups: null, kv_cache_scheme: null, observer: null, actorder: null}',
      'GPTQModifier',
      { scheme: 'W4A16', actorder: null },
    ],
    ['{scheme: W4A16, actorder: True}', 'GPTQModifier', { scheme: 'W4A16', actorder: 'group' }],
    ['{scheme: W4A16, actorder: false}', 'GPTQModifier', { scheme: 'W4A16', actorder: null }],
    ['{scheme: W4A16, actorder: STATIC}', 'GPTQModifier', { scheme: 'W4A16', actorder: 'static' }],
    [
      '{rotations: [r1, R4], precision: float32}',
      'SpinQuantModifier',
      { rotations: ['R1', 'R4'], precision: 'torch.float32' },
    ],
    [
      '{rotations: [V], targets: Linear, ignore: lm_head}',
      'QuIPModifier',
      { rotations: ['v'], targets: ['Linear'], ignore: ['lm_head'] },
    ],
    [
      '{smoothing_strength: 0.8, ignore: x, num_calibration_steps: 4, mappings: [["re:.*q", re:.*n], [re:.*up, re:.*n]]}',
      'SmoothQuantModifier',
      {
        smoothing_strength: 0.8,
        mappings: [
          [['re:.*q'], 're:.*n'],
          [['re:.*up'], 're:.*n'],
        ],
        ignore: ['x'],
      },
    ],
    [
      '{sparsity: 0.5, sparsity_profile: OWL, owl_m: 5, owl_lmbda: 0.08, mask_structure: 2:4}',
      'WandaPruningModifier',
      { sparsity: 0.5, sparsity_profile: 'owl', mask_structure: '2:4', owl_m: 5, owl_lmbda: 0.08 },
    ],
  ];
  for (const [written, type, value] of normal) {
    it(`of ${type} ${written}`, () => assert.deepEqual(roundTrip(one(type, written)).modifiers, [{ [type]: value }]));
  }

  it('of quantization args', () => {
    const args =
      '{type: FLOAT, num_bits: 8, strategy: Block, block_structure: 128x64, scale_dtype: null, zp_dtype: null, dynamic: false, actorder: false, observer: MEMORYLESS-MSE, observer_kwargs: {grid: 50}}';
    const { modifiers } = roundTrip(
      one(
        'QuantizationModifier',
        `{config_groups: {g: {targets: Linear, weights: ${args}, format: null, output_activations: null}}}`,
      ),
    );
    const weights = {
      num_bits: 8,
      type: 'float',
      strategy: 'block',
      block_structure: [128, 64],
      dynamic: false,
      observer: 'MEMORYLESS-MSE',
      observer_kwargs: { grid: 50 },
    };
    assert.deepEqual(modifiers[0]!['QuantizationModifier'], { config_groups: { g: { targets: ['Linear'], weights } } });
  });

  it('keeps the order of modifiers and of groups, and puts fields in the order of the schema', () => {
    const text =
      'b_stage:\n  y_modifiers:\n    GPTQModifier: {ignore: [a], scheme: W8A8, targets: [b]}\n  x_modifiers:\n    GPTQModifier: {scheme: W4A16, targets: [z]}\na_stage:\n  z_modifiers:\n    QuantizationModifier: {config_groups: {z: {targets: [c], weights: {}}, a: {targets: [d], weights: {}}}}\n';
    assert.equal(
      printRecipe(roundTrip(text)),
      [
        'version: 1',
        'modifiers:',
        '  - GPTQModifier: {scheme: W8A8, targets: [b], ignore: [a]}',
        '  - GPTQModifier: {scheme: W4A16, targets: [z]}',
        '  - QuantizationModifier:',
        '      config_groups:',
        '        z: {targets: [c], weights: {}}',
        '        a: {targets: [d], weights: {}}',
        '',
      ].join('\n'),
    );
  });

  it('holds everything else that a recipe may say', () => {
    const recipe = roundTrip(
      [
        '$schema: ./recipe.schema.json',
        'version: 1',
        'history: [{modifiers: [], note: null}, "quant_stage:\\n  x: 1\\n"]',
        'plugins: [./clip-outliers.ts]',
        'evaluation: {data: ./test.txt, context: 512, stride: 256, windows: 10, protocol: llama, generate: 8, prompts: ./p.txt, task: ./q.jsonl}',
        'outputs:',
        '  - {format: compressed-tensors, max_shard_size: 5GB}',
        '  - {format: gguf, type: q4_k_m, imatrix: auto, tensor_types: [attn_v=q6_k], name: m, split: 2GB, provenance: false}',
        'calibration: {dataset: ./c.txt, samples: 8, sequence_length: 16, batch_size: 2, seed: 1, shuffle: false, propagate: original}',
        'modifiers:',
        '  - ClipOutliersModifier: {limit: 3, nested: {a: [null]}}',
      ].join('\n'),
    );
    assert.deepEqual(Object.keys(recipe), [
      'version',
      'modifiers',
      'calibration',
      'outputs',
      'evaluation',
      'plugins',
      'history',
    ]);
    assert.deepEqual(recipe.history, [{ modifiers: [], note: null }, 'quant_stage:\n  x: 1\n']);
    assert.deepEqual(recipe.modifiers, [{ ClipOutliersModifier: { limit: 3, nested: { a: [null] } } }]);
    assert.equal((recipe.outputs![1] as { type: string }).type, 'Q4_K_M');
  });

  it('may have no modifiers where there are outputs', () => {
    assert.deepEqual(roundTrip('version: 1\nmodifiers: []\noutputs: [{format: gguf, type: Q8_0}]\n').modifiers, []);
  });
});

describe('printRecipe', () => {
  it('quotes what YAML 1.2 or 1.1 would read as something else', () => {
    const names = [
      'yes',
      'null',
      '~',
      '1e3',
      '0x10',
      '2:4',
      '12:30:45',
      'on',
      '3',
      '1_000',
      '=',
      '<<',
      '',
      ' a',
      '- b',
      'a: b',
      '#c',
      '&d',
      '*e',
      '!f',
      '%g',
      '@h',
      '`i',
      "it's",
      '"',
      '\n',
      '\u0085',
      '\u2028',
      '😀',
    ];
    const recipe = parseRecipe(
      one('QuantizationModifier', JSON.stringify({ scheme: 'W4A16', ignore: names.filter(name => name !== '') })),
    ).recipe;
    const again = parse(printRecipe(recipe)) as typeof recipe;
    assert.deepEqual(again, recipe);
    for (const name of ['yes', 'on', '12:30:45', '1_000', '3'])
      assert.match(printRecipe(recipe), new RegExp(`"${name}"`));
  });

  it('gives the same recipe for any names, numbers and history', () => {
    const name = fc
      .string({ minLength: 1, unit: 'binary' })
      .filter(text => text !== '__proto__' && text !== '<<' && !text.startsWith('re:'));
    const recipes = fc.record({
      version: fc.constant(1 as const),
      modifiers: fc.array(
        fc.record({
          QuantizationModifier: fc.record({
            scheme: fc.constantFrom(...presetNames()),
            targets: fc.array(name, { minLength: 1 }),
            ignore: fc.array(name),
          }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      calibration: fc.record({ dataset: name, samples: fc.integer({ min: 1 }), seed: fc.maxSafeNat() }),
      history: fc.array(fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(recipes, recipe => {
        const plain = JSON.parse(JSON.stringify(recipe)) as typeof recipe; // no -0, which JSON does not have
        if (JSON.stringify(plain).includes('__proto__')) return;
        const { recipe: read } = parseRecipe(JSON.stringify(plain));
        assert.deepEqual(read, plain);
        const printed = printRecipe(read);
        const again = parseRecipe(printed).recipe;
        assert.deepEqual(again, plain);
        assert.equal(printRecipe(again), printed);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('the merged schema', () => {
  it('accepts what is accepted, in every spelling', () => {
    const validate = new Ajv2020({ strict: true }).compile(mergedSchema());
    const accepted = [
      one('QuantizationModifier', '{scheme: {fp8: Linear}, targets: Linear, weight_observer: MSE, index: null}'),
      one(
        'QuantizationModifier',
        '{config_groups: {g: {targets: [Linear], weights: {type: FLOAT, strategy: Block, block_structure: 128x64, scale_dtype: float8_e4m3fn}}}}',
      ),
      one('GPTQModifier', '{scheme: W4A16, actorder: false, kv_cache_scheme: null}'),
      one('SpinQuantModifier', '{rotations: [r1], precision: float32}'),
      one('WandaPruningModifier', '{sparsity: [0.5], sparsity_profile: Owl, owl_m: 5, owl_lmbda: 0.08}'),
      'version: 1\nmodifiers: []\noutputs: [{format: gguf, type: q8_0}]\n',
      'a_stage: {b_modifiers: {GPTQModifier: {scheme: W8A8}}}\nargs: {}\n',
    ];
    for (const text of accepted) {
      roundTrip(text);
      assert.ok(validate(parse(text)), `${text}${JSON.stringify(validate.errors)}`);
    }
  });
});
