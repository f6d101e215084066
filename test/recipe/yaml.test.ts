import assert from 'node:assert/strict';
import { parseRecipe } from '../../src/recipe/parse.js';
import { findings, one, rejected, roundTrip } from './support.js';

const W4A16 = 'version: 1\nmodifiers:\n  - QuantizationModifier: {scheme: W4A16}\n';

describe('the text of a recipe', () => {
  it('is YAML 1.2: capital booleans and exponents are what they look like, yes is a text', () => {
    const recipe = roundTrip(
      'version: 1\nmodifiers:\n  - GPTQModifier: {scheme: W4A16, dampening_frac: 1e-3, offload_hessians: True}\n',
    );
    assert.deepEqual(recipe.modifiers, [
      { GPTQModifier: { scheme: 'W4A16', dampening_frac: 0.001, offload_hessians: true } },
    ]);
  });

  it('may have anchors, aliases and merge keys, where what is written wins over what is merged', () => {
    const recipe = roundTrip(
      [
        'version: 1',
        'modifiers:',
        '  - QuantizationModifier:',
        '      config_groups:',
        '        a: {targets: [q], weights: &a {num_bits: 4, group_size: 32}, input_activations: &b {num_bits: 8, symmetric: false}}',
        '        b: {targets: [k], weights: {num_bits: 3, <<: [*a, *b]}}',
        '        c: {targets: [v], weights: *a}',
      ].join('\n'),
    );
    const groups = recipe.modifiers[0]!['QuantizationModifier']!['config_groups'] as Record<
      string,
      Record<string, unknown>
    >;
    assert.deepEqual(groups['b']!['weights'], { num_bits: 3, symmetric: false, group_size: 32 });
    assert.deepEqual(groups['c']!['weights'], { num_bits: 4, group_size: 32 });
  });

  it('may be JSON, indented with tabs too', () => {
    const json = JSON.stringify({ version: 1, modifiers: [{ QuantizationModifier: { scheme: 'W8A8' } }] }, null, '\t');
    assert.deepEqual(parseRecipe(json, { file: 'r.json' }).recipe, roundTrip(json));
  });

  it('may stand at the top of a markdown file, with places in the file', () => {
    const markdown = (body: string) => `\n---\n${body}---\n# A card\n\n---\nmore: text\n`;
    assert.equal(parseRecipe(markdown(W4A16), { file: 'card.md' }).recipe.modifiers.length, 1);
    assert.deepEqual(findings(markdown(W4A16.replace('scheme', 'sceme')), { file: 'card.md' }), [
      '5:28 unknown field "sceme"',
    ]);
    assert.deepEqual(findings('# A card\n', { file: 'card.md' }), [
      '1:1 the file has no recipe between two lines "---" at its top',
    ]);
  });

  it('may begin with a byte order mark and end lines with CR LF', () => {
    assert.equal(parseRecipe(`\uFEFF${W4A16.replaceAll('\n', '\r\n')}`).recipe.version, 1);
  });

  it('is empty when it holds only comments', () => {
    for (const text of ['', '\n', '# nothing\n', '---\n...\n', 'null'])
      assert.deepEqual(findings(text), ['1:1 the recipe is empty']);
  });

  const broken: Record<string, [text: string, finding: string]> = {
    'a scalar': ['W4A16', '1:1 a recipe is a map, not a single value'],
    'a list': ['- W4A16', '1:1 a recipe is a map, not a list'],
    'several documents': [`${W4A16}---\n${W4A16}`, '4:1 the text holds several documents'],
    'a tag': ['version: !!set {a, b}', '1:10 the tag "!!set" is not read: a recipe is plain data'],
    'a tag of its own': ['version: !x 1', '1:10 the tag "!x" is not read: a recipe is plain data'],
    'an alias of nothing': [
      one('GPTQModifier', '{scheme: *w}'),
      '3:28 *w stands for nothing: no value before it is named &w',
    ],
    'an alias inside its own anchor': [
      'version: &a [*a]',
      '1:14 *a stands for nothing: no value before it is named &a',
    ],
    'a merge of something else': [one('GPTQModifier', '{<<: [3], scheme: W4A16}'), '3:20 << merges maps only'],
    'two merges': [
      one('GPTQModifier', '{<<: {}, <<: {}, scheme: W4A16}'),
      '3:28 "<<" stands here a second time, the first is on line 3',
    ],
    'a number as key': [one('GPTQModifier', '{1: 2, scheme: W4A16}'), '3:20 a key must be text'],
    'a list as key': [one('GPTQModifier', '{? [a] : 2, scheme: W4A16}'), '3:22 a key must be text'],
    'the key of prototypes': [
      one('GPTQModifier', '{__proto__: {x: 1}, scheme: W4A16}'),
      '3:20 "__proto__" cannot be a key',
    ],
    infinity: [
      one('GPTQModifier', '{scheme: W4A16, dampening_frac: .inf}'),
      '3:51 Infinity is not a number that a recipe can hold',
    ],
    'a tab as indentation': ['version: 1\nmodifiers:\n\t- GPTQModifier: {}\n', '3:1 a tab cannot indent'],
    'a missing space': ['version:1\nmodifiers: []\n', '1:1 this is not a key with a value'],
    'an open bracket': ['version: 1\nmodifiers: [{GPTQModifier: {}}\n', '3:1 the closing ] is missing'],
    'an open quote': ['version: 1\nmodifiers: ["a]\n', '3:1 the closing " is missing'],
  };
  for (const [what, [text, finding]] of Object.entries(broken)) {
    it(`may not have ${what}`, () => assert.equal(findings(text)[0], finding));
  }

  it('cannot reach the prototypes of objects by other keys', () => {
    assert.deepEqual(findings(one('GPTQModifier', '{scheme: W4A16, constructor: {x: 1}, toString: 1}')), [
      '3:35 unknown field "constructor"',
      '3:56 unknown field "toString"',
    ]);
    assert.equal(findings('version: 1\nmodifiers:\n  - toString: {}\n')[0], '3:5 modifier "toString" does not exist');
  });
});

describe('a hostile recipe', () => {
  /** Refused soon (in processor time: other programs do not count), with a sentence. */
  function refused(text: string, message: RegExp): void {
    const before = process.cpuUsage();
    const error = rejected(text);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 3e6, `took ${user / 1000} ms`);
    assert.match(error.diagnostics.at(-1)!.message, message);
  }

  it('may not be large', () =>
    refused(`version: 1\nmodifiers: []\n#${'x'.repeat(1e7)}`, /has 1000\d+ bytes, a recipe at most 1000000/));
  it('may not hold a million words', () => refused(`version: [${'a,'.repeat(4e5)}]`, /more than 100000 words/));
  it('may not hold too many values', () =>
    refused(`a: &a [${'1,'.repeat(30_000)}]\nb: *a\n`, /more than 50000 values/));

  it('may not expand aliases without end', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 0; i < 30; i++) {
      bomb.push(`a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`);
    }
    refused(bomb.join('\n'), /more than 50000 values once its aliases are written out/);
    refused(
      bomb
        .join('\n')
        .replaceAll(' [', ' {<<: [')
        .replaceAll(']', ']}')
        .replace(/\[x.*\]/, '{x: 1}'),
      /more than 50000 values|merges maps only|must be text/,
    );
  });

  it('may not be nested without end', () => {
    const deep = /nested more than 64 deep|more than 100000 words/;
    refused('version: '.concat('['.repeat(100), ']'.repeat(100)), deep);
    refused('['.repeat(40_000), deep);
    refused('{a: '.repeat(20_000), deep);
    refused('- '.repeat(40_000), deep);
    refused(
      ['a0: &a0 1', ...Array.from({ length: 5000 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}]`)].join('\n'),
      deep,
    );
    refused(Array.from({ length: 400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), deep);
  });

  it('may not take long in any other way', () => {
    const flood = [
      '"'.repeat(90_001),
      '&a '.repeat(45_000),
      '!x '.repeat(45_000),
      '? '.repeat(45_000),
      'a: '.repeat(45_000),
      ']'.repeat(90_000),
      '---\n'.repeat(45_000),
    ];
    for (const text of flood) refused(text, /./);
    refused(Array.from({ length: 12_000 }, (_, i) => `k${i}: 1`).join('\n'), /unknown field|needs/);
  });
});
