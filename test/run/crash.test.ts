import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TensorpressError } from '../../src/errors.js';
import { folderState } from '../../src/run/files.js';
import { runSession } from '../../src/run/session.js';
import { crashAt } from '../support/crash.js';
import { assertUnfinished, calibratedRecipe, recipeFile, snapshot } from '../support/run-folder.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

/** Of all calls that change the disk, every so many dies; all of them with TENSORPRESS_KILLS=all or a number of a hundred and more. */
const kills = process.env['TENSORPRESS_KILLS'] ?? '';
const STRIDE = kills === 'all' || Number(kills) >= 100 ? 1 : 7;

const ONE = recipeFile();
const SHARDS = recipeFile(
  '{format: compressed-tensors, max_shard_size: 20KB}',
  '{format: compressed-tensors, name: second}',
);

const CALIBRATED = calibratedRecipe();

/** The process lives on here, but one that was killed would hold no claim. */
function dropClaims(out: string): void {
  const state = join(out, '.tensorpress');
  if (!existsSync(state)) return;
  for (const name of readdirSync(state)) if (name.startsWith('lock.')) rmSync(join(state, name));
}

describe('a run that is killed at any call', () => {
  let model: string;
  let small: string;
  const apply = (recipe: string, out: string, force = false) =>
    runSession({
      ...{ recipe, out, force, threads: 0, engine: 'reference' },
      model: recipe === CALIBRATED ? small : model,
    });
  const expected = new Map<string, Record<string, string>>();
  let finishedOld: string;

  before(async () => {
    model = await writeModel(tinyLlama(), { maxShardSize: 60_000, files: { 'tokenizer.json': '{"a": 1}' } });
    small = await writeModel(tinyLlama({ hidden: 32, intermediate: 32 }), { maxShardSize: 20_000 });
    for (const recipe of [ONE, SHARDS, CALIBRATED]) {
      const out = join(tempFolder(), 'out');
      await apply(recipe, out);
      expected.set(recipe, snapshot(out));
      if (recipe === SHARDS) finishedOld = out;
    }
  });

  const refused = async (work: Promise<unknown>): Promise<TensorpressError> => {
    const error: unknown = await work.then(
      () => assert.fail('it was not refused'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof TensorpressError, String(error));
    return error;
  };

  /** Calls of a whole run, found by letting it go on to its end. */
  const everyCall = async (
    begin: () => string,
    work: (out: string) => Promise<unknown>,
    check: (out: string) => Promise<void>,
    { stride = STRIDE, closely = 60 }: { stride?: number; closely?: number } = {},
  ) => {
    const { calls } = await crashAt(Infinity, () => work(begin()));
    // the last steps decide most: none of them is left out
    const late = calls - closely;
    for (let at = 1; at <= calls; at += at < late ? stride : 1) {
      const out = begin();
      const { last, leftOpen } = await crashAt(at, () => work(out));
      dropClaims(out);
      try {
        assert.deepEqual(leftOpen, []);
        await check(out);
      } catch (error) {
        throw new Error(`killed at call ${at} of ${calls}, ${last}`, { cause: error });
      }
    }
  };

  const fresh = () => join(tempFolder(), 'out');

  for (const [name, recipe, calls] of [
    ['one file', ONE, {}],
    ['shards and two outputs', SHARDS, {}],
    // it takes longer, and ends as the others do
    ['static scales and GPTQ in two outputs', CALIBRATED, { stride: 3 * STRIDE, closely: 0 }],
  ] as const) {
    it(`goes on to the same bytes: ${name}`, async () => {
      await everyCall(
        fresh,
        out => apply(recipe, out),
        async out => {
          if (existsSync(join(out, 'run.json'))) {
            assert.equal((await refused(apply(recipe, out))).message, `${out} holds a finished run`);
          } else {
            assertUnfinished(out);
            await apply(recipe, out);
          }
          assert.deepEqual(snapshot(out), expected.get(recipe));
          assert.ok(!readdirSync(out).includes('.tensorpress'));
        },
        calls,
      );
    }).timeout(600_000);
  }

  it('goes on when it is killed again and again', async () => {
    let state = 7;
    const random = (n: number) => (state = (state * 48271) % 2147483647) % n;
    for (let round = 0; round < 60 / STRIDE; round++) {
      const out = fresh();
      for (;;) {
        const { error } = await crashAt(random(160) + 1, () => apply(SHARDS, out));
        dropClaims(out);
        if (existsSync(join(out, 'run.json'))) break;
        assert.ok(error !== undefined);
        assertUnfinished(out);
      }
      if (existsSync(join(out, '.tensorpress'))) await refused(apply(SHARDS, out));
      assert.deepEqual(snapshot(out), expected.get(SHARDS));
    }
  }).timeout(600_000);

  it('replaces a finished run whole or not at all', async () => {
    const old = snapshot(finishedOld);
    const begin = () => {
      const out = fresh();
      cpSync(finishedOld, out, { recursive: true });
      return out;
    };
    await everyCall(
      begin,
      out => apply(ONE, out, true),
      async out => {
        const state = await folderState(out);
        if (state === 'finished' || state === 'replacing') {
          const stands = readRun(out) === readRun(finishedOld);
          await refused(apply(ONE, out));
          if (stands) assert.deepEqual(withoutState(snapshot(out)), old);
          if (state === 'replacing' || stands) await apply(ONE, out, true);
        } else {
          assert.equal(state, 'unfinished');
          await apply(ONE, out);
        }
        assert.deepEqual(snapshot(out), expected.get(ONE));
        assert.ok(readdirSync(out).every(name => !/second|\.tensorpress|partial/.test(name)));
      },
    );
  }).timeout(600_000);

  it('starts over where an unfinished run is given up', async () => {
    const begun = fresh();
    await crashAt(90, () => apply(SHARDS, begun));
    assert.equal(await folderState(begun), 'unfinished');
    const begin = () => {
      const out = fresh();
      cpSync(begun, out, { recursive: true });
      return out;
    };
    await everyCall(
      begin,
      out => apply(ONE, out, true),
      async out => {
        if (!existsSync(join(out, 'run.json'))) {
          const other = await apply(ONE, out).catch((error: unknown) => error);
          if (other instanceof TensorpressError) {
            assert.match(other.message, /unfinished run of something else; what differs: the recipe$/);
            await apply(ONE, out, true);
          }
        } else if (existsSync(join(out, '.tensorpress'))) {
          await refused(apply(ONE, out));
        }
        assert.deepEqual(snapshot(out), expected.get(ONE));
      },
    );
  }).timeout(600_000);
});

const readRun = (folder: string) => readFileSync(join(folder, 'run.json'), 'utf8');

const withoutState = (files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).filter(([name]) => !/^\.tensorpress|\.partial$/.test(name)));
