import assert from 'node:assert/strict';
import { suggest } from '../../src/schemes/suggest.js';

describe('suggest', () => {
  const cases: [word: string, candidates: string[], best: string | undefined][] = [
    ['shceme', ['targets', 'scheme', 'ignore'], 'scheme'],
    ['W4A61', ['W8A8', 'W4A16', 'W4A16_ASYM'], 'W4A16'],
    ['GROUP_SIZE', ['group_size'], 'group_size'],
    ['num_bit', ['num_bits', 'numbers'], 'num_bits'],
    ['mseee', ['minmax', 'mse', 'memoryless_mse'], 'mse'],
    ['x', ['minmax', 'y'], 'y'],
    ['lm_haed', ['model', 'lm_head'], 'lm_head'],
    ['something', ['nothing alike', 'else'], undefined],
    ['same', ['same'], undefined],
  ];
  for (const [word, candidates, best] of cases) {
    it(`takes "${word}" for ${best ?? 'none'} of ${candidates.join(', ')}`, () =>
      assert.equal(suggest(word, candidates), best));
  }
});
