import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TensorpressError } from '../../src/errors.js';
import type { RunEvent } from '../../src/run/events.js';
import { folderState } from '../../src/run/files.js';
import { runSession } from '../../src/run/session.js';
import { failure } from '../support/failure.js';
import { crashAt } from '../support/crash.js';
import { mountDisk, whyNoDisk, type Disk } from '../support/disk.js';
import { cli, type CliResult } from '../support/run-cli.js';
import { assertUnfinished, recipeFile, snapshot } from '../support/run-folder.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const RECIPE = recipeFile(
  '{format: compressed-tensors, max_shard_size: 500kB}',
  '{format: compressed-tensors, name: second}',
);
const NOBODY = 65534;

const noDisk = whyNoDisk();
/** A test that needs a disk of its own; where there is none, its title says why it is skipped. */
const onDisk = (title: string, body: (disk: Disk) => Promise<void>, megabytes = 16) => {
  if (noDisk !== undefined) return it.skip(`${title} (${noDisk})`, () => {});
  return it(title, async () => {
    const disk = mountDisk(megabytes);
    try {
      await body(disk);
    } finally {
      disk.unmount();
    }
  }).timeout(120_000);
};

/** A failed command: one sentence and a way out on stderr, nothing of the inside. */
function assertSentence({ exitCode, stdout, stderr }: CliResult, sentence: RegExp, code = 1): void {
  assert.equal(exitCode, code, stderr);
  assert.equal(stdout, '');
  const [first, hint, ...rest] = stderr.split('\n');
  assert.match(first!, sentence);
  assert.match(hint!, /^ {2}\w/);
  assert.deepEqual(rest, []);
}

const withoutState = (folder: string) =>
  Object.fromEntries(Object.entries(snapshot(folder)).filter(([path]) => !/^\.tensorpress|\.partial$/.test(path)));

describe('the disk of a run', () => {
  let model: string;
  let expected: Record<string, string>;
  let tiny: string;
  /** A finished run of something else, which `--force` may replace. */
  let old: string;

  const apply = (out: string, more: { force?: boolean; onEvent?: (event: RunEvent) => void } = {}) =>
    runSession({ recipe: RECIPE, model, out, threads: 0, ...more });
  const command = (out: string, ...more: string[]) => [
    'apply',
    RECIPE,
    '--model',
    model,
    '--out',
    out,
    '--quiet',
    ...more,
  ];
  const withOld = (out: string) => (cpSync(old, out, { recursive: true }), out);

  before(async () => {
    const shape = { hidden: 256, intermediate: 512, vocabulary: 256 };
    model = await writeModel(tinyLlama({ ...shape, layers: 4 }), { files: { 'tokenizer.json': '{"a": 1}' } });
    const whole = join(tempFolder(), 'whole');
    await apply(whole);
    expected = snapshot(whole);
    tiny = await writeModel(tinyLlama({ layers: 1 }), { files: { 'tokenizer.json': '{"a": 1}' } });
    old = join(tempFolder(), 'old');
    await runSession({ recipe: recipeFile(), model: tiny, out: old, threads: 0 });
  });

  describe('is full', () => {
    onDisk(
      'before it begins: a sentence, and no trace',
      async ({ folder }) => {
        const out = join(folder, 'out');
        assertSentence(await cli(command(out)), /: the disk is too full: the result takes \d.* MB, and \d.* are free$/);
        assert.deepEqual(readdirSync(folder), []);
        withOld(out);
        const before = snapshot(out);
        assertSentence(await cli(command(out, '--force')), /the disk is too full/);
        assert.deepEqual(snapshot(out), before);
      },
      2,
    );

    for (const part of ['embedding', 'layers.2', 'head']) {
      onDisk(`from ${part} on: a sentence, and the same command goes on once there is room`, async disk => {
        const out = join(disk.folder, 'out');
        let filler: string | undefined;
        const onEvent = (event: RunEvent) => {
          if (event.type === 'progress' && event.part === part) filler ??= disk.fill();
        };
        const error = await failure(apply(out, { onEvent }));
        assert.deepEqual([error.code, error.exitCode], ['DISK', 1]);
        assert.match(error.message, /^\S+ cannot be written: the disk is full$/);
        assert.match(error.hint!, /^free some space/);
        assertUnfinished(out);
        assert.equal(existsSync(out), part !== 'embedding', 'what has no finished part leaves no trace');
        if (part === 'layers.2') {
          disk.fill();
          const again = await failure(apply(out));
          assert.match(again.message, /^the disk is too full: the result takes .* more, and .* are free$/);
          assert.equal(await folderState(out), 'unfinished');
        }
        rmSync(filler!);
        await apply(out);
        assert.deepEqual(snapshot(out), expected);
      });
    }

    onDisk('while a finished run is to be replaced: that one stands', async disk => {
      const out = withOld(join(disk.folder, 'out'));
      const before = snapshot(out);
      let filler: string | undefined;
      const onEvent = ({ type, ...event }: RunEvent) => {
        if (type === 'progress' && 'part' in event && event.part === 'embedding') filler ??= disk.fill();
      };
      assert.match((await failure(apply(out, { force: true, onEvent }))).message, /the disk is full/);
      assert.deepEqual(snapshot(out), before);
      rmSync(filler!);
      await apply(out, { force: true });
      assert.deepEqual(snapshot(out), expected);
    });

    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

    for (const [name, begin, force] of [
      ['an empty folder', () => join(tempFolder(), 'out'), false],
      ['a finished run that is replaced', () => withOld(join(tempFolder(), 'out')), true],
    ] as const) {
      it(`at any call that writes: a sentence, and nothing is lost (${name})`, async () => {
        const small = { recipe: RECIPE, model: tiny, threads: 0 };
        const whole = begin();
        const { calls } = await crashAt(Infinity, () => runSession({ ...small, out: whole, force }));
        const expected = snapshot(whole);
        const before = force ? snapshot(old) : {};
        // the last steps decide most: none of them is left out
        const late = calls - 24;
        for (let at = 1; at <= calls; at += at < late ? 13 : 1) {
          const out = begin();
          const work = () => runSession({ ...small, out, force });
          const { error, last, leftOpen } = await crashAt(at, work, { failure: full, once: true });
          try {
            assert.deepEqual(leftOpen, []);
            if (error === undefined) {
              assert.deepEqual(withoutState(out), expected); // what only tidies up may fail
              continue;
            }
            assert.ok(error instanceof TensorpressError, String((error as Error).stack));
            assert.deepEqual([error.code, error.exitCode], ['DISK', 1], error.message);
            assert.match(error.message, /^.+ cannot be (written|removed): the disk is full$/);
            const state = await folderState(out);
            if (state === 'finished' || state === 'replacing') {
              assert.deepEqual(withoutState(out), before);
            } else if (existsSync(out)) {
              assertUnfinished(out);
            }
            await runSession({ ...small, out, force: state === 'finished' || state === 'replacing' });
            assert.deepEqual(snapshot(out), expected);
          } catch (cause) {
            throw new Error(`full at call ${at} of ${calls}, ${last}`, { cause });
          }
        }
      }).timeout(300_000);
    }
  });

  describe('may not be written to', () => {
    onDisk('because it is read-only: a sentence, and all is as it was', async disk => {
      const out = withOld(join(disk.folder, 'old'));
      const [before, empty] = [snapshot(out), join(disk.folder, 'empty')];
      mkdirSync(empty);
      disk.makeReadOnly();
      const sentence = /cannot be written: the file system is read-only$/;
      assertSentence(await cli(command(join(disk.folder, 'new'))), sentence);
      assertSentence(await cli(command(empty)), sentence);
      assertSentence(await cli(command(out, '--force')), sentence);
      assert.deepEqual(readdirSync(disk.folder).sort(), ['empty', 'old']);
      assert.deepEqual(snapshot(out), before);
    });

    const isRoot = process.getuid?.() === 0;
    const title = 'by this user: a sentence, and all is as it was';
    it(title, async function () {
      // root may write everywhere, so the command runs as somebody who may not
      const who = isRoot ? { uid: NOBODY } : {};
      for (const path of [model, RECIPE]) chmodSync(dirname(path), 0o755);
      if ((await cli(['--version'], who)).exitCode !== 0) {
        this.test!.title += ' (nobody may not run what is installed here)';
        this.skip();
      }
      const parent = tempFolder();
      chmodSync(parent, 0o755);
      const [finished, empty, hidden] = ['old', 'empty', 'hidden'].map(name => join(parent, name)) as [
        string,
        string,
        string,
      ];
      for (const folder of [empty, hidden]) mkdirSync(folder);
      const before = snapshot(withOld(finished));
      const sentence = /cannot be written: writing is not permitted$/;
      try {
        for (const [folder, mode] of [
          [finished, 0o555],
          [empty, 0o555],
          [hidden, 0o000],
          [parent, 0o555],
        ] as const)
          chmodSync(folder, mode);
        assertSentence(await cli(command(join(parent, 'new')), who), sentence);
        assertSentence(await cli(command(empty), who), sentence);
        assertSentence(await cli(command(hidden), who), /hidden cannot be (read|written): .* not permitted$/);
        assertSentence(await cli(command(finished, '--force'), who), sentence);
      } finally {
        for (const folder of [parent, finished, empty, hidden]) chmodSync(folder, 0o755);
      }
      assert.deepEqual(readdirSync(parent).sort(), ['empty', 'hidden', 'old']);
      assert.deepEqual([readdirSync(empty), readdirSync(hidden), snapshot(finished)], [[], [], before]);
    });

    it('because a file stands where a folder has to be: a sentence', async () => {
      const file = join(tempFolder(), 'file');
      writeFileSync(file, 'mine');
      assertSentence(await cli(command(file)), /file is a file, not a folder$/, 2);
      assertSentence(await cli(command(join(file, 'out'))), /out lies inside a file$/, 2);
      assert.equal(statSync(file).size, 4);
    });
  });
});
