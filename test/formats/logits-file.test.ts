import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { openLogits, scoredTokens, writeLogits, type LogitsText } from '../../src/formats/logits-file.js';
import { goldenFile, goldenList } from '../support/golden.js';
import { normal } from '../support/numbers.js';
import { tempFolder } from '../support/temp.js';
import { refused } from './refused.js';

const text = (context: number, vocabulary: number, chunks: number): LogitsText => ({
  context,
  vocabulary,
  chunks,
  tokens: Int32Array.from({ length: chunks * context }, (_, i) => (i * 7) % vocabulary),
});

/** Random logits for every row. */
const rowsOf = (about: LogitsText, sigma: number): Float32Array[] =>
  Array.from(scoredTokens(about), (_, i) => normal(about.vocabulary, i, sigma));

async function read(path: string): Promise<{ about: LogitsText; rows: Float32Array[] }> {
  const { context, vocabulary, chunks, tokens, rows } = await openLogits(path);
  const all: Float32Array[] = [];
  for await (const row of rows()) all.push(row.slice());
  return { about: { context, vocabulary, chunks, tokens }, rows: all };
}

describe('files of logits', () => {
  it('come back as log probabilities, to half a step, nothing 16 below the largest', async () => {
    const path = join(tempFolder(), 'a.logits');
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 3, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(0, 0.5, 4, 40),
        async (context, vocabulary, chunks, sigma) => {
          const about = text(context, vocabulary, chunks);
          const logits = rowsOf(about, sigma);
          await writeLogits(path, about, logits);
          const back = await read(path);
          assert.deepEqual(back.about, about);
          assert.equal(back.rows.length, logits.length);
          back.rows.forEach((row, r) => {
            const x = logits[r]!;
            const max = Math.max(...x);
            const lse = max + Math.log(x.reduce((sum, v) => sum + Math.exp(v - max), 0));
            row.forEach((value, v) => {
              const expected = Math.max(x[v]!, max - 16) - lse;
              assert.ok(Math.abs(value - expected) < 16 / 65535 / 2 + 1e-5, `${value}, expected ${expected}`);
            });
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('name the tokens that rows predict', () => {
    assert.deepEqual([...scoredTokens({ context: 6, chunks: 2 })], [4, 5, 10, 11]);
    assert.deepEqual([...scoredTokens({ context: 3, chunks: 1 })], [2]);
  });

  it('are read in several pieces', async () => {
    const path = join(tempFolder(), 'wide.logits');
    const about = text(7, 900_001, 1);
    const row = normal(about.vocabulary, 1);
    await writeLogits(path, about, [row, row, row]);
    const { rows } = await read(path);
    assert.equal(rows.length, 3);
    assert.deepEqual(rows[2], rows[0]);
  });

  it('are not there when writing fails', async () => {
    const path = join(tempFolder(), 'a.logits');
    const about = text(6, 5, 1);
    const few = await refused(() => writeLogits(path, about, [normal(5, 1)]));
    assert.equal(few.message, '1 rows of logits were given, not 2');
    await refused(() => writeLogits(path, about, [normal(5, 1), normal(7, 1)]));
    assert.ok(!existsSync(path) && !existsSync(`${path}.partial`));
    const nowhere = await refused(() => writeLogits(join(tempFolder(), 'no', 'a.logits'), about, []));
    assert.equal(nowhere.code, 'DISK');
  });

  describe('damaged', () => {
    const about = text(6, 5, 2);
    const folder = tempFolder();
    const path = join(folder, 'bad.logits');
    let whole: Buffer;
    before(async () => {
      await writeLogits(path, about, rowsOf(about, 1));
      whole = readFileSync(path);
    });

    const set = (at: number, value: number) => (bytes: Buffer) => (bytes.writeInt32LE(value, at), bytes);
    const cases: Record<string, [change: (bytes: Buffer) => Buffer, message: RegExp]> = {
      'without its last byte': [b => b.subarray(0, -1), /holds \d+ bytes, but its header announces \d+$/],
      'with a byte too many': [b => Buffer.concat([b, Buffer.of(0)]), /holds \d+ bytes, but its header announces/],
      'of another kind': [() => Buffer.from('GGUF and more than that'), /does not begin with _logits_/],
      'that is empty': [() => Buffer.of(), /does not begin with _logits_/],
      'of a text that was too short': [b => b.subarray(0, 12), /ends after 12 bytes.*too short for one chunk/],
      'without context': [set(8, 2), /has a context of 2 tokens; the least is 3/],
      'with a negative vocabulary': [set(12, -5), /has a vocabulary of -5/],
      'without chunks': [set(16, 0), /has 0 chunks/],
      'with huge numbers': [set(16, 0x7fffffff), /holds \d+ bytes, but its header announces/],
      'with a token outside of the vocabulary': [set(20, 5), /holds the token 5, outside of its vocabulary of 5/],
      'with a negative token': [set(20, -1), /holds the token -1/],
      'with a scale that is no number': [set(20 + 48, 0x7fc00000), /holds no probabilities in row 0: its scale is NaN/],
      'with an infinite minimum': [set(20 + 48 + 4, -0x800000), /holds no probabilities in row 0:.*-Infinity/],
    };
    for (const [what, [change, message]] of Object.entries(cases)) {
      it(`${what}: one sentence`, async () => {
        writeFileSync(path, change(Buffer.from(whole)));
        const error = await refused(() => read(path));
        assert.equal(error.code, 'TENSOR');
        assert.match(error.message, message);
        assert.ok(
          error.message.startsWith('bad.logits ') && error.hint !== undefined && error.place.file === 'bad.logits',
        );
      });
    }

    it('any cut is noticed', async () => {
      for (let length = 0; length < whole.length; length += 3) {
        writeFileSync(path, whole.subarray(0, length));
        assert.equal((await refused(() => read(path))).code, 'TENSOR');
      }
    });

    it('a change while it is read is noticed', async () => {
      writeFileSync(path, whole);
      const { rows } = await openLogits(path);
      writeFileSync(path, whole.subarray(0, -4));
      assert.match((await refused(() => rows().next())).message, /has changed since it was opened/);
    });

    it('a missing file is a sentence, too', async () => {
      assert.match((await refused(() => openLogits(join(folder, 'none.logits')))).message, /does not exist/);
    });
  });

  const golden = goldenList('gguf/logits').filter(name => name.endsWith('.logits'));
  if (golden.length === 0) {
    it('golden gguf/logits is absent', function () {
      this.skip();
    });
  }
  for (const name of golden) {
    it(`golden ${name} is written again, to one step`, async () => {
      const [path, again] = ['a', 'b'].map(folder => join(tempFolder(), folder)) as [string, string];
      writeFileSync(path, goldenFile(`gguf/logits/${name}`)!);
      const first = await read(path);
      await writeLogits(again, first.about, first.rows);
      const [before, after] = [readFileSync(path), readFileSync(again)];
      assert.equal(after.length, before.length);
      const begin = 20 + 4 * first.about.tokens.length;
      assert.ok(after.subarray(0, begin).equals(before.subarray(0, begin)));
      const second = await read(again);
      second.rows.forEach((row, r) =>
        row.forEach((value, v) => {
          const off = Math.abs(value - first.rows[r]![v]!);
          assert.ok(off <= 3e-4, `row ${r}, token ${v}: ${value}, was ${first.rows[r]![v]}`);
        }),
      );
    });
  }
});
