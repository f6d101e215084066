import assert from 'node:assert/strict';
import pc from 'picocolors';
import { generationLines } from '../../src/cli/generations-view.js';
import type { Generation } from '../../src/run/generations.js';

const view = (generation: Generation, columns = 60) =>
  generationLines([generation], { columns, color: pc.createColors(false) });

describe('generationLines', () => {
  it('show how two models go on, one below the other', () => {
    const generation = { prompt: 'The sky is', base: ' blue today', model: ' blue and', same_tokens: 1, tokens: 2 };
    assert.deepEqual(view(generation), [
      '',
      '  The sky is',
      '  base     blue today',
      '  model    blue and',
      '  the first 1 of 2 tokens are the same',
    ]);
  });

  it('say whether all is the same, or nothing', () => {
    const generation = { prompt: 'a', base: 'b', model: 'b', tokens: 3 };
    assert.equal(view({ ...generation, same_tokens: 3 }).at(-1), '  all 3 tokens are the same');
    assert.equal(view({ ...generation, same_tokens: 0 }).at(-1), '  they differ from the first token on');
  });

  it('break long texts at spaces, and lines that follow stand below the text', () => {
    const base = 'one two three four five six seven eight nine ten eleven twelve';
    const lines = view({ prompt: base, base, model: 'z'.repeat(100), same_tokens: 0, tokens: 20 }, 40);
    assert.ok(lines.every(line => line.length <= 40));
    const texts = lines.filter(line => /^ {2}base|^ {11}[a-z]/.test(line)).map(line => line.slice(11));
    assert.equal(texts.join(' ').replace(/ z+/g, ''), base);
    assert.equal(lines.join('').replace(/[^z]/g, '').length, 100);
  });

  it('hold no control character, and line breaks are shown', () => {
    const lines = view({ prompt: '\u001b[31mred', base: 'a\n\n b', model: '\r\u202e', same_tokens: 0, tokens: 4 });
    assert.deepEqual(lines.slice(1, 4), ['  \\u{1b}[31mred', '  base     a ⏎ b', '  model    \\u{202e}']);
  });

  it('show ids where there is no tokenizer', () => {
    assert.match(
      view({ prompt: [1, 2], base: [3], model: [4, 5], same_tokens: 0, tokens: 2 }).join('\n'),
      /model {4}4 5/,
    );
  });
});
