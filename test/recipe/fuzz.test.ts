import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TensorpressError } from '../../src/errors.js';
import { formatDiagnostics } from '../../src/recipe/findings.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { printRecipe } from '../../src/recipe/print.js';
import { mergedSchema } from '../../src/recipe/schema.js';

/** How many of each kind; the weekly run takes far more. */
const RUNS = Number(process.env['TENSORPRESS_FUZZ'] ?? 300);

/** A text is either read, and then survives a round trip, or refused with sentences and places; never anything else. */
function survives(text: string, overrides: readonly string[] = []): void {
  try {
    const { recipe } = parseRecipe(text, { overrides });
    const printed = printRecipe(recipe);
    assert.deepEqual(parseRecipe(printed).recipe, recipe);
    assert.equal(printRecipe(parseRecipe(printed).recipe), printed);
  } catch (error) {
    if (!(error instanceof TensorpressError)) throw error;
    assert.equal(error.code, 'RECIPE');
    assert.ok(error.diagnostics.length > 0);
    for (const { message, line, column } of error.diagnostics)
      assert.ok(message.length > 5 && line! > 0 && column! > 0);
    assert.doesNotMatch(formatDiagnostics(error), /[\u0000-\u0009\u000b-\u001f\u007f]|    at .*\.[jt]s:/);
  }
}

const SEEDS = [
  'version: 1\nmodifiers:\n  - QuantizationModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head, "re:.*gate$"]}\ncalibration: {dataset: ./c.txt, samples: 8}\n',
  'quant_stage:\n  quant_modifiers:\n    SmoothQuantModifier:\n      mappings:\n      - - [re:.*q_proj]\n        - re:.*norm\n    GPTQModifier:\n      config_groups:\n        a: {targets: Linear, weights: &w {num_bits: 4, group_size: 32, actorder: true}}\n        b: {targets: x, weights: {<<: *w, strategy: GROUP}}\n',
  'version: 1\nmodifiers: []\noutputs:\n- {format: gguf, type: Q4_K_M, tensor_types: [a=q8_0]}\n- {format: compressed-tensors, name: x}\nhistory: [null, {a: [1]}]\n',
  '{"version": 1, "modifiers": [{"SpinQuantModifier": {"rotations": ["R1"], "transform_config": {"config_groups": {}}}}, {"AWQModifier": {"duo_scaling": "both"}}, {"QuantizationModifier": {"kv_cache_scheme": {"type": "float"}}}]}',
];

/** Words and signs that mean something to YAML or to a recipe. */
const WORDS = [...new Set([...SEEDS.join(' ').split(/\b/), ...Object.keys(mergedSchema().$defs!)])];
const SIGNS = [
  '\n',
  ' ',
  '  ',
  '\t',
  ':',
  ': ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"',
  "'",
  '&a ',
  '*a',
  '<<: ',
  '!!map ',
  '!x',
  '|\n',
  '>',
  '#',
  '---\n',
  '...',
  '%YAML 1.1\n',
  '? ',
  '~',
  '\u0000',
  '\ufeff',
  '\r\n',
  '\u{1F600}',
  '__proto__',
  'constructor',
  '1e999',
  '.nan',
  '-0',
  '0x',
  'null',
];

const token = fc.oneof(fc.constantFrom(...SIGNS), fc.constantFrom(...WORDS));

/** A recipe with a few pieces taken out, doubled or replaced. */
const mutated = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 12 }), token), { minLength: 1, maxLength: 4 }),
  )
  .map(([seed, edits]) =>
    edits.reduce((text, [position, length, piece]) => {
      const at = position % (text.length + 1);
      return text.slice(0, at) + piece + text.slice(at + length);
    }, seed),
  );

describe('fuzzed recipes', () => {
  it('of any characters', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => survives(text)),
      { numRuns: RUNS },
    ));
  it('of YAML words', () =>
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), words => survives(words.join(''))),
      { numRuns: RUNS },
    ));
  it('with mutations', () =>
    fc.assert(
      fc.property(mutated, text => survives(text)),
      { numRuns: RUNS },
    ));
  it('of any JSON', () =>
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), text => survives(text)),
      { numRuns: RUNS },
    ));
  it('with any overrides', () => {
    const override = fc.array(token, { maxLength: 10 }).map(words => words.join(''));
    const path = fc.constantFrom(
      'modifiers.0.QuantizationModifier.scheme',
      'outputs.0',
      'a."b.c"',
      'calibration.samples',
      'modifiers',
      'modifiers.0',
    );
    const arguments_ = fc.array(
      fc.oneof(
        override,
        fc.tuple(path, override).map(([p, v]) => `${p}=${v}`),
      ),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(fc.constantFrom(...SEEDS), arguments_, (text, overrides) => survives(text, overrides)),
      { numRuns: RUNS },
    );
  });
});
