import assert from 'node:assert/strict';
import { compilePattern, matches, prioritize, selects, type Named } from '../../src/schemes/targets.js';
import { goldenJson } from '../support/golden.js';

interface Matching {
  modules: [string, string[]][];
  cases: { targets: string[]; ignore: string[]; matched: string[] }[];
  priority: { name: string; targets: string[]; ordered: string[] }[];
}

const linear = (name: string): Named => ({ name, classes: ['Linear', 'Module'] });
const patterns = (texts: string[]) => texts.map(compilePattern);

describe('targets', () => {
  const matching = goldenJson<{ matching?: Matching }>('compressed-tensors/golden-extra.json')?.matching;
  if (matching === undefined)
    it('golden matching', function () {
      this.skip();
    });
  const modules = matching?.modules.map(([name, classes]) => ({ name, classes })) ?? [];

  matching?.cases.forEach(({ targets, ignore, matched }) => {
    it(`golden matching: ${JSON.stringify(targets)} without ${JSON.stringify(ignore)}`, () => {
      const [chosen, left] = [patterns(targets), patterns(ignore)];
      assert.deepEqual(
        modules.filter(module => selects(chosen, left, module)).map(({ name }) => name),
        matched,
      );
    });
  });

  matching?.priority.forEach(({ name, targets, ordered }) => {
    it(`golden priority: ${JSON.stringify(targets)} on ${name}`, () => {
      const module = modules.find(candidate => candidate.name === name)!;
      assert.deepEqual(prioritize(patterns(targets), module), ordered);
    });
  });

  it('say by what they matched', () => {
    const module = linear('model.layers.0.mlp.up_proj');
    const by = (text: string) => matches(compilePattern(text), module);
    assert.deepEqual(
      ['model.layers.0.mlp.up_proj', 're:.*up_proj$', 'Linear', 'Module', 'up_proj', 're:up_proj'].map(by),
      ['name', 'regex', 'class', 'class', undefined, undefined],
    );
    assert.equal(matches(compilePattern('lm_head'), { name: 'lm_head', classes: ['lm_head'] }), 'name');
  });

  it('translates Python where JavaScript differs', () => {
    const yes: [string, string][] = [
      ['re:(?P<part>mlp)\\.(?P=part)$', 'mlp.mlp'],
      ['re:a{,2}b$', 'aab'],
      ['re:a{,}b$', 'aaaab'],
      ['re:x{y}$', 'x{y}'],
      ['re:[]a]+$', 'a]a'],
      ['re:[^]]+$', 'ab'],
      ['re:(?:a|b)(?=c)c$', 'bc'],
      ['re:a+?b$', 'aab'],
      ['re:[(?P<]+$', '(?P<'],
      ['re:\\(\\?i\\)$', '(?i)'],
      ['re:a|b', 'b'],
      ['re:', 'anything'],
    ];
    for (const [text, name] of yes) assert.equal(matches(compilePattern(text), linear(name)), 'regex', text);
    const no: [string, string][] = [
      ['re:a|b', 'cb'],
      ['re:a{,2}b$', 'aaab'],
      ['re:[^]]+$', 'a]'],
    ];
    for (const [text, name] of no) assert.equal(matches(compilePattern(text), linear(name)), undefined, text);
  });

  it('reports what cannot be translated, and such a pattern matches nothing', () => {
    const untranslatable = [
      '(?i)linear',
      'a(?i:b)',
      '(?x) a',
      'a++',
      'a*+',
      'a{2}+',
      '(?>a)',
      '\\Alm',
      'lm\\Z',
      '(a)?(?(1)b|c)',
      '(?#note)a',
      '(?<name>a)',
      '\\p',
    ];
    for (const source of untranslatable) {
      const pattern = compilePattern(`re:${source}`);
      assert.match(pattern.problem ?? '', /has no equivalent|have no equivalent/, source);
      assert.equal(matches(pattern, linear('linear')), undefined);
    }
    for (const source of ['(q_proj', 'a)(b', '*a', '[a', 'a\\', '+']) {
      assert.match(compilePattern(`re:${source}`).problem ?? '', /not a regular expression|no equivalent/, source);
    }
  });

  it('compiles a catastrophic pattern without running it', () => {
    assert.equal(compilePattern(`re:${'(a+)+'.repeat(50)}$`).problem, undefined);
  });
});
