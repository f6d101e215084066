import assert from 'node:assert/strict';
import fc from 'fast-check';
import { agreement, differingWords, oneLine } from '../../src/run/generation-text.js';

describe('continuations side by side', () => {
  /** Both sides with what differs in brackets. */
  const marked = (base: string | number[], model: string | number[]) => {
    const words = differingWords({ base, model });
    return [words.base, words.model].map(spans =>
      spans.map(({ text, differs }) => (differs ? `[${text}]` : text)).join(''),
    );
  };

  it('mark words that only one has, with the spaces between them', () => {
    assert.deepEqual(marked('a b c d', 'a x y d'), ['a [b c] d', 'a [x y] d']);
    assert.deepEqual(marked('the same', 'the same'), ['the same', 'the same']);
    assert.deepEqual(marked('', 'new'), ['', '[new]']);
  });

  it('mark token ids where there are no texts', () => {
    assert.deepEqual(marked([5, 6, 7], [5, 61, 7]), ['5 [6] 7', '5 [61] 7']);
  });

  it('give back each text as it is on one line', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (base, model) => {
        const words = differingWords({ base, model });
        const whole = (side: typeof words.base) => side.map(({ text }) => text).join('');
        assert.deepEqual([whole(words.base), whole(words.model)], [oneLine(base), oneLine(model)]);
        const common = (side: typeof words.base) => side.filter(({ differs }) => !differs).map(({ text }) => text);
        assert.deepEqual(
          common(words.base).join('').replace(/\s/g, ''),
          common(words.model).join('').replace(/\s/g, ''),
        );
      }),
    ));

  it('stand on one line, and steer no terminal', () => {
    assert.equal(oneLine(' one \n\n two\u001b[31m '), 'one ⏎ two\\u{1b}[31m');
    assert.equal(oneLine([1, 22, 3]), '1 22 3');
  });

  it('say how far they are the same', () => {
    const say = (same_tokens: number, tokens: number) => agreement({ same_tokens, tokens });
    assert.deepEqual(
      [say(4, 4), say(0, 4), say(3, 4)],
      ['all 4 tokens are the same', 'they differ from the first token on', 'the first 3 of 4 tokens are the same'],
    );
  });
});
