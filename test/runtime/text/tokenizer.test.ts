import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { TensorpressError } from '../../../src/errors.js';
import { loadTokenizer, type Tokenizer } from '../../../src/runtime/text/tokenizer.js';
import { goldenJson, goldenList, goldenPath } from '../../support/golden.js';
import { tempFolder } from '../../support/temp.js';

const TINY_LLAMA = fileURLToPath(new URL('../../../examples/tiny-llama', import.meta.url));

interface StepsFixture {
  readonly texts: readonly string[];
  readonly bases: Record<string, { model: object }>;
  readonly tokenizers: Record<
    string,
    { base: string; json: object; model: object; with_specials: number[][]; plain: number[][] }
  >;
}

interface PiecesFixture {
  readonly texts: readonly string[];
  readonly models: Record<string, { model: string; ids: number[][] }>;
}

interface GoldenCase {
  readonly text: string;
  readonly ids: number[];
  readonly ids_no_parse_special?: number[];
  readonly ids_default?: unknown;
  readonly reference_equal: boolean;
}

function readFixture<T>(name: string): T {
  return JSON.parse(gunzipSync(readFileSync(new URL(name, import.meta.url))).toString());
}

function folderWith(files: Record<string, unknown>): string {
  const folder = tempFolder();
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

const fails = (folder: string, message: RegExp, hint = /./, vocabulary?: number) =>
  assert.rejects(loadTokenizer(folder, vocabulary === undefined ? {} : { vocabulary }), (error: unknown) => {
    assert.ok(error instanceof TensorpressError, String(error));
    assert.equal(error.code, 'MODEL');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    return true;
  });

/** A BPE of a few letters. */
const letters = (more: Record<string, unknown> = {}) => ({
  added_tokens: [{ id: 5, content: '<s>', special: true }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2, ab: 3, abc: 4 }, merges: ['a b', 'ab c'] },
  ...more,
});

describe('loadTokenizer', () => {
  describe('of the example model', () => {
    let tokenizer: Tokenizer;
    before(async () => {
      tokenizer = await loadTokenizer(TINY_LLAMA, { vocabulary: 4096 });
    });

    it('knows what the files say', () => {
      const { bos, eos, addsBos, chat } = tokenizer;
      assert.deepEqual({ bos, eos, addsBos, chat }, { bos: 0, eos: [0], addsBos: false, chat: undefined });
    });

    it('gives the ids of the golden cases, and tokenizes their texts back', function () {
      const golden = goldenJson<{ cases: { text: string; ids: number[] }[] }>('model/tiny-llama.json');
      if (golden === undefined) this.skip();
      for (const { text, ids } of golden.cases) {
        assert.deepEqual(tokenizer.encode(text), ids, text);
        assert.deepEqual(tokenizer.encodeWithSpecials(text), ids);
        assert.equal(tokenizer.decode(ids), text);
      }
    });

    it('loses nothing', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 60 }), text => {
          assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
        }),
      );
    });

    it('takes the name of a special token for text unless asked', () => {
      assert.ok(!tokenizer.encode('a<|endoftext|>').includes(0));
      assert.deepEqual(tokenizer.encode('a<|endoftext|>', { specials: true }), [65, 0]);
      assert.equal(tokenizer.decode([65, 0]), 'a<|endoftext|>');
    });
  });

  it('gives the ids of golden tokenizers', async function () {
    const names = goldenList('gguf/tokenizer');
    if (names.length === 0) this.skip();
    for (const name of names) {
      const { cases } = goldenJson<{ cases: GoldenCase[] }>(`gguf/tokenizer/${name}/cases.json`)!;
      const tokenizer = await loadTokenizer(dirname(goldenPath(`gguf/tokenizer/${name}/config.json`)!));
      for (const { text, ids, ids_no_parse_special, ids_default, reference_equal } of cases) {
        if (!reference_equal) continue;
        assert.deepEqual(tokenizer.encode(text, { specials: true }), ids, `${name} ${text}`);
        if (ids_no_parse_special) assert.deepEqual(tokenizer.encode(text), ids_no_parse_special, `${name} ${text}`);
        if (Array.isArray(ids_default)) assert.deepEqual(tokenizer.encodeWithSpecials(text), ids_default);
      }
    }
  });

  const json = readFixture<StepsFixture>('tokenizer-json.json.gz');
  for (const [name, { base, json: steps, model, with_specials, plain }] of Object.entries(json.tokenizers)) {
    it(`equals tokenizers 0.23.3 on the steps of ${name}`, async () => {
      const whole = json.bases[base]!;
      const file = { ...whole, ...steps, model: { ...whole.model, ...model } };
      const tokenizer = await loadTokenizer(folderWith({ 'tokenizer.json': file }));
      for (const [i, text] of json.texts.entries()) {
        assert.deepEqual(tokenizer.encode(text), plain[i], JSON.stringify(text));
        assert.deepEqual(tokenizer.encodeWithSpecials(text), with_specials[i], JSON.stringify(text));
      }
    });
  }

  const pieces = readFixture<PiecesFixture>('sentencepiece.json.gz');
  for (const [name, { model, ids }] of Object.entries(pieces.models)) {
    it(`reads a SentencePiece model (${name}) and equals sentencepiece 0.2.3`, async () => {
      const folder = folderWith({ 'tokenizer.model': Buffer.from(model, 'base64') });
      const tokenizer = await loadTokenizer(folder);
      for (const [i, text] of pieces.texts.entries())
        assert.deepEqual(tokenizer.encode(text), ids[i], JSON.stringify(text));
      assert.deepEqual([tokenizer.bos, tokenizer.eos, tokenizer.addsBos], [1, [2], true]);
      assert.deepEqual(
        tokenizer.encodeWithSpecials('a</s>').filter(id => id < 3),
        [1, 2],
      );
    });
  }

  it('cuts a long text without changing a token', async () => {
    const model = Buffer.from(pieces.models['bpe']!.model, 'base64');
    const tokenizer = await loadTokenizer(folderWith({ 'tokenizer.model': model }));
    const words = pieces.texts.filter(text => !/^$|^[ \u2581]|[ \u2581]$|\u2581|<sym>/.test(text));
    const apart = words.flatMap(text => tokenizer.encode(text));
    assert.deepEqual(tokenizer.encode(words.join(' ')), apart);
  });

  it('adds the tokens of tokenizer_config.json and added_tokens.json to a SentencePiece model', async () => {
    const folder = folderWith({
      'tokenizer.model': Buffer.from(pieces.models['bpe']!.model, 'base64'),
      'tokenizer_config.json': {
        add_bos_token: false,
        add_eos_token: true,
        eos_token: { content: '<|end|>' },
        added_tokens_decoder: { 601: { content: '<|end|>', special: true } },
      },
      'added_tokens.json': { '<tool>': 600 },
      'generation_config.json': { eos_token_id: [2, 601] },
    });
    const tokenizer = await loadTokenizer(folder);
    assert.deepEqual(tokenizer.eos, [2, 601]);
    assert.deepEqual(tokenizer.encode('<tool>'), [600]);
    assert.deepEqual(tokenizer.encodeWithSpecials('<tool><|end|>'), [600, 601, 601]);
  });

  it('refuses a tokenizer that does not fit the vocabulary, but for special tokens that text cannot become', async () => {
    const folder = folderWith({ 'tokenizer.json': letters() });
    const { encode } = await loadTokenizer(folder, { vocabulary: 5 });
    assert.deepEqual(encode('<s>abc', { specials: true }), [4]);
    await fails(folder, /^tokenizer\.json has ids up to 5, but the model's vocabulary has 4 tokens$/, /./, 4);
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>' }));
    await fails(folder, /vocabulary has 5 tokens$/, /./, 5);
  });

  it('says in a sentence what is wrong with a folder', async () => {
    const file = (more: Record<string, unknown>) => folderWith({ 'tokenizer.json': letters(more) });
    await fails('/nowhere/at-all', /^there is no model folder/);
    await fails(folderWith({}), /holds no tokenizer\.json and no tokenizer\.model$/, /token ids/);
    await fails(folderWith({ 'vocab.json': {} }), /holds no tokenizer/, /vocab\.json alone/);
    await fails(folderWith({ 'tokenizer.json': '{"model":' }), /^tokenizer\.json is damaged: it is not JSON$/);
    await fails(folderWith({ 'tokenizer.json': [] }), /is not an object$/);
    await fails(file({ model: { type: 'WordPiece' } }), /model of type "WordPiece"/);
    await fails(file({ model: { type: 'BPE', vocab: { a: -1 }, merges: [] } }), /gives the token "a" no usable id$/);
    await fails(file({ model: { type: 'BPE', vocab: { a: 0 }, merges: ['a b'] } }), /merge, number 0, whose tokens/);
    await fails(file({ normalizer: { type: 'Nmt' } }), /uses the normalizer Nmt, which is not supported$/);
    await fails(file({ pre_tokenizer: { type: 'UnicodeScripts' } }), /pre-tokenizer UnicodeScripts/);
    await fails(
      file({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }),
      /cannot be used/,
    );
    await fails(file({ decoder: { type: 'CTC' } }), /decoder CTC/);
    await fails(
      folderWith({ 'tokenizer.model': 'no model' }),
      /^tokenizer\.model is damaged, or no SentencePiece model$/,
    );
    await fails(
      folderWith({ 'tokenizer.json': letters(), 'tokenizer_config.json': '[' }),
      /^tokenizer_config\.json is damaged/,
    );
  });

  it('never fails in another way on a damaged SentencePiece model', async () => {
    const model = Buffer.from(pieces.models['charsmap']!.model, 'base64');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(model.length - 1),
        fc.integer({ min: 0, max: 255 }),
        fc.boolean(),
        async (at, byte, cut) => {
          const damaged = Buffer.from(cut ? model.subarray(0, at) : model);
          if (!cut) damaged[at] = byte;
          try {
            const tokenizer = await loadTokenizer(folderWith({ 'tokenizer.model': damaged }));
            tokenizer.encode('some text ½ x');
          } catch (error) {
            assert.ok(error instanceof TensorpressError, String(error));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads through the file system that it is given', async () => {
    const folder = tempFolder();
    copyFileSync(join(TINY_LLAMA, 'tokenizer.json'), join(folder, 'tokenizer.json'));
    const fs = {
      readdir: () => Promise.resolve(['tokenizer.json']),
      readFile: () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' })),
    };
    await assert.rejects(loadTokenizer(folder, { fs: fs as never }), /tokenizer\.json cannot be read \(EACCES\)/);
  });
});
