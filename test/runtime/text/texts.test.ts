import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { TensorpressError } from '../../../src/errors.js';
import { calibrationRows, evaluationRows, type TokenRows } from '../../../src/runtime/text/texts.js';
import type { Tokenizer } from '../../../src/runtime/text/tokenizer.js';
import { tempFolder } from '../../support/temp.js';

/** One token per character: its place in the alphabet; `specials` tells whether the names of special tokens would be parsed. */
const letters: Tokenizer = {
  encode: (text, options) => Array.from(text, letter => (letter.codePointAt(0)! % 90) + (options?.specials ? 100 : 0)),
  encodeWithSpecials: () => assert.fail('texts get no special tokens around them'),
  decode: () => '',
  bos: undefined,
  eos: [],
  addsBos: false,
  chat: messages => messages.map(({ role, content }) => `${role}:${String(content)}`).join('|'),
};
const options = { tokenizer: () => Promise.resolve(letters), vocabulary: 200 };
const idsOf = (rows: TokenRows) => rows.rows.map(({ ids }) => [...ids]);
const count = (n: number) => Array.from({ length: n }, (_, i) => i);

function file(name: string, content: string | Uint8Array): string {
  const path = join(tempFolder(), name);
  writeFileSync(path, content);
  return path;
}

const fails = (rows: Promise<TokenRows>, message: RegExp, hint?: RegExp) =>
  assert.rejects(rows, (error: unknown) => {
    assert.ok(error instanceof TensorpressError, String(error));
    assert.equal(error.code, 'ARGUMENT');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint ?? /./);
    return true;
  });

describe('evaluationRows', () => {
  it('cuts a .txt into whole windows and says what it leaves out', async () => {
    const text = 'abcdefghijk';
    const path = file('a.txt', text);
    const rows = await evaluationRows(path, { ...options, context: 4 });
    assert.deepEqual(idsOf(rows), [letters.encode('abcd'), letters.encode('efgh')]);
    assert.deepEqual(
      rows.rows.map(({ scoredFrom }) => scoredFrom),
      [1, 1],
    );
    assert.deepEqual(rows.notes, ['3 tokens of a.txt at the end of 1 document fill no window of 4 and are left out']);
    assert.deepEqual(rows.file, { path, sha256: createHash('sha256').update(text).digest('hex'), bytes: 11 });
    assert.equal(rows.tokens, 8);
  });

  it('lets windows overlap, and then scores every token but the first once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 1, max: 9 }), async (context, step) => {
        const stride = Math.min(step, context - 1);
        const text = 'abcdefghijklmnopqrstuvwxyz';
        const { rows } = await evaluationRows(file('a.txt', text), { ...options, context, stride });
        const scored = rows.flatMap(({ ids, scoredFrom }) => [...ids.subarray(scoredFrom)]);
        assert.deepEqual(scored, letters.encode(text).slice(1, 1 + scored.length));
        assert.ok(scored.length >= text.length - stride);
      }),
      { numRuns: 30 },
    );
  });

  it('takes the rows of a .json as they are, without a tokenizer', async () => {
    const path = file('a.json', JSON.stringify({ logits: 1, input_ids: [[1, 2, 3, 4, 5, 6], [7, 8], [9]] }));
    const rows = await evaluationRows(path, {
      tokenizer: () => assert.fail('no tokenizer is needed'),
      vocabulary: 200,
      context: 4,
    });
    assert.deepEqual(idsOf(rows), [
      [1, 2, 3, 4],
      [7, 8],
    ]);
    assert.deepEqual(rows.notes, [
      '1 row of a.json is cut to 4 tokens: 2 are left out',
      '1 row of a.json with too few tokens is left out',
    ]);
  });

  it('reads a .jsonl document by document, through chunks of any size', async () => {
    const long = 'x'.repeat((3 << 20) + 5);
    const path = file(
      'a.jsonl',
      `\ufeff{"text": "abcdef"}\r\n\n${JSON.stringify({ text: long })}\n{"messages": [{"role": "u", "content": "hi"}]}`,
    );
    const rows = await evaluationRows(path, { ...options, context: 1 << 20 });
    assert.deepEqual(
      rows.rows.map(({ ids }) => ids.length),
      [6, 1 << 20, 1 << 20, 1 << 20, 4],
    );
    assert.deepEqual([...rows.rows[0]!.ids], letters.encode('abcdef'));
    assert.deepEqual([...rows.rows[4]!.ids], letters.encode('u:hi', { specials: true }));
    assert.deepEqual(rows.notes, [
      '5 tokens of a.jsonl at the end of 1 document fill no window of 1048576 and are left out',
    ]);
  });

  it('uses no more windows than asked for, and hashes the whole file all the same', async () => {
    const lines = count(50).map(i => `{"text": "document ${i}"}\n`);
    const path = file('a.jsonl', lines.join(''));
    const all = await evaluationRows(path, { ...options, context: 8 });
    const some = await evaluationRows(path, { ...options, context: 8, windows: 3 });
    assert.deepEqual(idsOf(some), idsOf(all).slice(0, 3));
    assert.deepEqual(some.file, all.file);
    assert.ok(some.notes.includes('only the first 3 rows of a.jsonl are used'));
    assert.notEqual(some.sha256, all.sha256);
  });

  it('keeps what a text editor adds out of the tokens, or says that it stays', async () => {
    const rows = await evaluationRows(file('a.txt', '\ufeffab\r\n'), { ...options, context: 4 });
    assert.deepEqual(idsOf(rows), [letters.encode('ab\r\n')]);
    assert.deepEqual(rows.notes, [
      'the byte order mark of a.txt is left out',
      'lines of a.txt end in CR LF; the CR is tokenized as it stands',
    ]);
  });

  it('says in a sentence what is wrong with a file', async () => {
    const read = (name: string, content: string | Uint8Array) =>
      evaluationRows(file(name, content), { ...options, context: 4 });
    await fails(read('a.txt', ''), /^a\.txt is empty$/);
    await fails(read('a.txt', '\ufeff'), /^a\.txt is empty$/);
    await fails(read('a.txt', 'abc'), /^a\.txt has 3 tokens, fewer than one window of 4$/, /context to 3 or less/);
    await fails(read('a.txt', Uint8Array.of(97, 98, 0xc3, 97)), /^a\.txt is not UTF-8 at byte 2$/);
    await fails(read('a.jsonl', ''), /^a\.jsonl holds no tokens to run$/);
    await fails(read('a.jsonl', '{"text": "ab"}\n{"text": 1}\n'), /^a\.jsonl:2 has no text and no messages$/);
    await fails(read('a.jsonl', '{"text": "ab"}\n\n{"text": "a\n'), /^a\.jsonl:3 is not JSON: /);
    await fails(read('a.jsonl', Buffer.from('{"text": "ab"}\n{"text": "\xff"}', 'latin1')), /not UTF-8 at byte 25$/);
    await fails(read('a.jsonl', '[]\n'), /^a\.jsonl:1 is not an object$/);
    await fails(read('a.jsonl', '{"messages": [{}]}\n'), /^a\.jsonl:1 has messages that are no list of turns/);
    await fails(read('a.json', '{"input_ids": 3}'), /^a\.json has no list input_ids$/);
    await fails(
      read('a.json', '{"input_ids": [[1, 200]]}'),
      /^row 0 of a\.json holds 200 at position 1, .* below 200$/,
    );
    await fails(read('a.json', '{"input_ids": [[1], [1.5]]}'), /^row 1 of a\.json holds 1\.5 at position 0/);
    await fails(read('a.json', '{"input_ids": []}'), /^a\.json holds no tokens to run$/);
    await fails(read('a.json', '{'), /^a\.json is not JSON/);
    await fails(read('a.csv', 'a,b'), /^a\.csv is no kind of text/);
    await fails(evaluationRows('/nowhere/a.txt', { ...options, context: 4 }), /^a\.txt does not exist$/);
    await fails(evaluationRows(file('a.txt', 'abcd'), { ...options, context: 0 }), /^context is 0, expected/);
    await fails(
      evaluationRows(file('a.txt', 'abcd'), { ...options, context: 2, stride: 3 }),
      /^stride is \d+, expected at most/,
    );
  });

  it('reads any .jsonl, or names a line of it', async () => {
    const line = fc.oneof(
      fc.string().map(text => JSON.stringify({ text })),
      fc.json(),
      fc.string(),
      fc.constant(''),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), async lines => {
        const path = file('a.jsonl', lines.join('\n'));
        try {
          await evaluationRows(path, { ...options, context: 4 });
        } catch (error) {
          assert.ok(error instanceof TensorpressError, String(error));
          assert.equal(error.code, 'ARGUMENT');
          assert.ok(
            error.place.line !== undefined || error.message === 'a.jsonl holds no tokens to run',
            error.message,
          );
        }
      }),
    );
  });
});

describe('calibrationRows', () => {
  const path = () => file('a.json', JSON.stringify({ input_ids: count(100).map(i => [i, i]) }));

  it('draws the same rows for the same seed, a prefix of the whole order', async () => {
    const source = path();
    const read = (seed: number, samples?: number) =>
      calibrationRows(source, { ...options, sequenceLength: 4, shuffle: true, seed, ...(samples && { samples }) });
    const all = await read(1);
    const some = await read(1, 7);
    assert.deepEqual(idsOf(some), idsOf(all).slice(0, 7));
    assert.deepEqual(some.notes, ['7 rows are drawn from the 100 of a.json']);
    assert.deepEqual(
      idsOf(all)
        .map(([id]) => id!)
        .sort((a, b) => a - b),
      count(100),
    );
    assert.notDeepEqual(idsOf(all), idsOf(await read(2)));
    assert.equal(all.sha256, (await read(1)).sha256);
    assert.notEqual(all.sha256, (await read(2)).sha256);
  });

  it('takes them in order otherwise; a document shorter than a row is a row', async () => {
    const rows = await calibrationRows(file('a.jsonl', '{"text":"a"}\n{"text":"abcde"}\n{"text":""}\n'), {
      ...options,
      sequenceLength: 4,
    });
    assert.deepEqual(idsOf(rows), [letters.encode('a'), letters.encode('abcd')]);
    assert.deepEqual(rows.notes, [
      '1 tokens of a.jsonl at the end of 1 document fill no window of 4 and are left out',
      '1 row of a.jsonl with too few tokens is left out',
    ]);
  });

  it('names its own option when a text is too short', async () => {
    await fails(
      calibrationRows(file('a.txt', 'abc'), { ...options, sequenceLength: 4 }),
      /fewer than one window/,
      /sequence_length to 3/,
    );
  });
});
