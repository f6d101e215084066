import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openEngine } from '../../src/runtime/engine/open.js';
import { loadModel } from '../../src/runtime/model/load.js';
import { loadTokenizer } from '../../src/runtime/text/tokenizer.js';
import { evaluate } from '../../src/run/evaluate.js';
import { runnable } from '../../src/run/forward/runnable.js';
import { generationsOf } from '../../src/run/generations.js';
import { run, textFile, tokenFile } from '../support/evaluation.js';
import { ROOT } from '../support/run-cli.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');
const EXCERPT = join(ROOT, 'examples/data/wikitext2-test-excerpt.txt');

describe('generations', () => {
  it('of a model against itself are the same; they continue the first windows', async () => {
    const found = await run({ model: EXAMPLE, against: EXAMPLE, data: EXCERPT, context: 40, windows: 4, generate: 6 });
    assert.equal(found.generations!.length, 3);
    const { decode, encode } = await loadTokenizer(EXAMPLE);
    const { readFileSync } = await import('node:fs');
    const tokens = encode(readFileSync(EXCERPT, 'utf8').slice(0, 2000));
    found.generations!.forEach(({ prompt, base, model, same_tokens, tokens: length }, i) => {
      assert.equal(prompt, decode(tokens.slice(40 * i, 40 * i + 32)));
      assert.equal(base, model);
      assert.ok(typeof base === 'string' && base.length > 0);
      assert.deepEqual([same_tokens, length], [6, 6]);
    });
  });

  it('leave the other figures as they are, and are not there unless asked for', async () => {
    const options = { model: EXAMPLE, against: EXAMPLE, data: EXCERPT, context: 32, windows: 2 };
    const [plain, more] = [await run(options), await run({ ...options, generate: 2 })];
    assert.equal(plain.generations, undefined);
    assert.equal(plain.perplexity, more.perplexity);
    assert.deepEqual(plain.notes, more.notes);
  });

  it('of different models differ from some token on; without a tokenizer they are ids', async () => {
    const [model, base] = [await writeModel(tinyLlama({ sigma: 0.3 })), await writeModel(tinyLlama({ sigma: 0.2 }))];
    const data = tokenFile([
      [1, 2, 3, 4],
      [9, 8],
    ]);
    const { generations } = await run({ model, against: base, data, generate: 9 });
    assert.deepEqual(
      generations!.map(({ prompt }) => prompt),
      [
        [1, 2, 3, 4],
        [9, 8],
      ],
    );
    for (const { base: theirs, model: ours, same_tokens, tokens } of generations!) {
      assert.equal(tokens, 9);
      assert.deepEqual(theirs.slice(0, same_tokens), ours.slice(0, same_tokens));
      assert.ok(same_tokens < 9);
      assert.notEqual(theirs[same_tokens], ours[same_tokens]);
    }
  });

  it('end with a token that ends texts, by config.json where there is no tokenizer', async () => {
    const tiny = tinyLlama({ sigma: 0.3 });
    const data = tokenFile([[1, 2, 3, 4]]);
    const free = await writeModel(tiny);
    const [long] = (await run({ model: free, against: free, data, generate: 6 })).generations!;
    const end = long!.base[3] as number;
    const ending = await writeModel({ ...tiny, config: { ...tiny.config, eos_token_id: [end, 70] } });
    const [short] = (await run({ model: ending, against: ending, data, generate: 6 })).generations!;
    const expected = long!.base.slice(0, (long!.base as number[]).indexOf(end) + 1);
    assert.deepEqual([short!.base, short!.model], [expected, expected]);
    assert.equal(short!.same_tokens, expected.length);
  });

  it('continue texts of the user', async () => {
    const prompts = ['The king of the', 'She opened'];
    const data = textFile('text.txt', 'a history of the example of the text and of the words '.repeat(5));
    const found = await run({ model: EXAMPLE, against: EXAMPLE, data, context: 16, generate: 5, prompts });
    assert.deepEqual(
      found.generations!.map(({ prompt }) => prompt),
      prompts,
    );
    for (const { base } of found.generations!) assert.match(base as string, /^[ ,.a-z]/);
  });

  it('need a base, and a prompt needs to be continued', async () => {
    const options = { model: EXAMPLE, data: EXCERPT };
    await assert.rejects(evaluate({ ...options, generate: 3 }), {
      code: 'ARGUMENT',
      message: /side by side with a base/,
    });
    await assert.rejects(evaluate({ ...options, prompts: ['a'] }), {
      code: 'ARGUMENT',
      message: /nothing is to be gen/,
    });
    await assert.rejects(evaluate({ ...options, against: EXAMPLE, generate: 0 }), { message: /generate is 0/ });
  });
});

describe('generationsOf', () => {
  it('skips a model that does not fit, with one sentence', async () => {
    const model = await loadModel(EXAMPLE);
    const engine = await openEngine({ threads: 1 });
    try {
      const side = { ...(await runnable(model)), name: model.name };
      const prompts = { ids: [[1, 2]], eos: [], tokenizer: undefined };
      const asked = { engine, model: side, base: side, prompts, tokens: 2 };
      const { generations, notes } = await generationsOf({ ...asked, memory: 1e6 });
      assert.equal(generations, undefined);
      assert.deepEqual(notes.length, 1);
      assert.match(
        notes[0]!,
        /^no texts are generated: in float32 the weights of tiny-llama take \d.* MB, and half .* is 1/,
      );
      const told: string[] = [];
      const more = await generationsOf({ ...asked, onToken: (done, total) => told.push(`${done}/${total}`) });
      assert.equal(more.generations!.length, 1);
      assert.deepEqual(told, ['1/4', '2/4', '3/4', '4/4']);
    } finally {
      await engine.close();
      await model.source.close();
    }
  });
});
