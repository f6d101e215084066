import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { TensorpressError } from '../../../src/errors.js';
import type { ApplyOptions } from '../../../src/run/apply.js';
import type { RunEvent } from '../../../src/run/events.js';
import { folderState } from '../../../src/run/files.js';
import { runSession } from '../../../src/run/session.js';
import { failure } from '../../support/failure.js';
import { crashAt } from '../../support/crash.js';
import { BIN, cli } from '../../support/run-cli.js';
import { assertUnfinished, calibratedRecipe, snapshot } from '../../support/run-folder.js';
import { tempFolder } from '../../support/temp.js';
import { tinyLlama, writeModel } from '../../support/tiny-model.js';

const RECIPE = calibratedRecipe();

/** Files of hidden states. */
function states(out: string): string[] {
  const folder = join(out, '.tensorpress/hidden');
  return readdirSync(folder)
    .sort()
    .map(name => join(folder, name));
}

const weightsOf = (out: string) =>
  Object.fromEntries(Object.entries(snapshot(out)).filter(([name]) => /safetensors|^config\.json$/.test(name)));

const stop = new Error('stopped by the test');

describe('a calibrated run that was stopped', () => {
  let model: string;
  let expected: Record<string, string>;
  /** Stopped in the second layer. */
  let begun: string;

  const run = (out: string, more: Partial<ApplyOptions> = {}) =>
    runSession({ recipe: RECIPE, model, out, threads: 0, engine: 'reference', ...more });

  const stopIn = (part: string) => (event: RunEvent) => {
    if (event.type === 'progress' && event.part === part) throw stop;
  };

  const copy = () => {
    const out = join(tempFolder(), 'out');
    cpSync(begun, out, { recursive: true });
    return out;
  };

  before(async () => {
    model = await writeModel(tinyLlama({ hidden: 32, intermediate: 32 }));
    const whole = join(tempFolder(), 'whole');
    await run(whole);
    expected = snapshot(whole);
    begun = join(tempFolder(), 'begun');
    await assert.rejects(run(begun, { onEvent: stopIn('layers.1') }), stop);
    assertUnfinished(begun);
  });

  it('goes on from the hidden states before the part, and leaves none', async () => {
    const out = copy();
    // those of the model as it is, for static scales, and those behind GPTQ's weights
    assert.equal(states(out).length, 2);
    assert.notDeepEqual(...(states(out).map(path => readFileSync(path)) as [Buffer, Buffer]));
    const parts = new Set<string>();
    await run(out, { onEvent: event => event.type === 'step' && parts.add(event.part) });
    assert.deepEqual([...parts], ['layers.1']);
    assert.deepEqual(snapshot(out), expected);
    assert.ok(!existsSync(join(out, '.tensorpress')));
  });

  const damages: [name: string, damage: (path: string) => void][] = [
    ['changed', path => writeFileSync(path, readFileSync(path).fill(1, 8, 9))],
    ['shorter', path => truncateSync(path, 100)],
    ['gone', path => rmSync(path)],
  ];
  for (const [name, damage] of damages) {
    it(`does not go on from hidden states that are ${name}`, async () => {
      const out = copy();
      damage(states(out)[1]!);
      const { code, message, hint } = await failure(run(out));
      assert.equal(code, 'DISK');
      assert.equal(message, 'the hidden states of the unfinished run are not as it has stored them');
      assert.equal(hint, 'check the disk, and start over with --force');
      assert.equal(await folderState(out), 'unfinished');
      await run(out, { force: true });
      assert.deepEqual(snapshot(out), expected);
    });
  }

  it('does not go on with what computes otherwise, and says what differs', async () => {
    const before = snapshot(begun);
    const differs = async (more: Partial<ApplyOptions>, sentence: RegExp) => {
      const { code, exitCode, message } = await failure(run(begun, more));
      assert.deepEqual([code, exitCode], ['FINISHED', 2]);
      assert.match(message, /holds an unfinished run of something else; what differs: /);
      assert.match(message.split('what differs: ')[1]!, sentence);
      assert.deepEqual(snapshot(begun), before);
    };
    await differs(
      { engine: 'onnx', device: 'cpu' },
      /^the engine \(the definitions of all ops.*, now onnxruntime .*\)$/,
    );
    await differs({ set: ['calibration.samples=2'] }, /^the recipe, the calibration data$/);
  });

  it('does not go on with another number of threads where they decide the last bits', async () => {
    const out = join(tempFolder(), 'out');
    await assert.rejects(run(out, { engine: 'onnx', device: 'cpu', threads: 1, onEvent: stopIn('layers.1') }), stop);
    const { message } = await failure(run(out, { engine: 'onnx', device: 'cpu', threads: 2 }));
    assert.match(message, /what differs: the engine \(.*1 thread.*, now .*2 threads.*\)$/);
    await run(out, { engine: 'onnx', device: 'cpu', threads: 1 });
  });

  it('has said that the disk is full, and goes on once there is room', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    const { calls } = await crashAt(Infinity, () => run(join(tempFolder(), 'out')));
    for (let at = 3; at <= calls - 24; at += 37) {
      const out = join(tempFolder(), 'out');
      const { error, last, leftOpen } = await crashAt(at, () => run(out), { failure: full, once: true });
      try {
        assert.deepEqual(leftOpen, []);
        if (error !== undefined) {
          assert.ok(error instanceof TensorpressError, String((error as Error).stack));
          assert.deepEqual([error.code, error.exitCode], ['DISK', 1], error.message);
          assert.match(error.message, /^.+ cannot be (written|removed): the disk is full$/);
          assertUnfinished(out);
          await run(out);
        }
        assert.deepEqual(snapshot(out), expected);
      } catch (cause) {
        throw new Error(`full at call ${at} of ${calls}, ${last}`, { cause });
      }
    }
  }).timeout(60_000);
});

describe('Ctrl-C while data flows', () => {
  it('ends a run within a second or two with exit code 130, and the same command goes on', async () => {
    const model = await writeModel(tinyLlama({ hidden: 128, intermediate: 256, layers: 3 }));
    const folder = tempFolder();
    const ids = Array.from({ length: 64 }, (_, row) => Array.from({ length: 128 }, (_, i) => (i * 7 + row * 31) % 80));
    writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ input_ids: ids }));
    const recipe = join(folder, 'recipe.yaml');
    const modifier = 'GPTQModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head]}';
    writeFileSync(recipe, `version: 1\nmodifiers:\n  - ${modifier}\ncalibration: {dataset: ./tokens.json}\n`);
    const [out, whole] = [join(tempFolder(), 'out'), join(tempFolder(), 'whole')];
    await runSession({ recipe, model, out: whole, threads: 1, engine: 'onnx', device: 'cpu' });

    const args = ['apply', recipe, '--model', model, '--out', out, '--threads', '1', '--device', 'cpu'];
    const child = execa(process.execPath, [BIN, ...args], { reject: false });
    let stoppedAt = Infinity;
    child.stderr.on('data', (data: Buffer) => {
      if (stoppedAt < Infinity || !data.toString().includes('layers.1')) return;
      stoppedAt = performance.now();
      child.kill('SIGINT');
    });
    const { exitCode, stderr } = await child;
    assert.equal(exitCode, 130, stderr);
    assert.ok(performance.now() - stoppedAt < 3000, `${performance.now() - stoppedAt} ms`);
    assert.match(stderr, /stopped.*\n?.*same command/s);
    assertUnfinished(out);
    assert.ok(states(out).length > 0);
    assert.equal((await cli([...args, '--quiet'])).exitCode, 0);
    assert.deepEqual(weightsOf(out), weightsOf(whole));
  }).timeout(60_000);
});
