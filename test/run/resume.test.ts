import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { TensorpressError } from '../../src/errors.js';
import { lockFolder, newLock, releaseLock } from '../../src/run/lock.js';
import { runSession } from '../../src/run/session.js';
import { BIN, cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

/** Kills of a test run; more for a stress test by hand. */
const KILLS = Number(process.env['TENSORPRESS_KILLS'] ?? 6);

/** The mse observer makes a run of the example model long enough to be killed in the middle. */
const RECIPE = `version: 1
modifiers:
  - QuantizationModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head], weight_observer: mse}
outputs:
  - {format: compressed-tensors, max_shard_size: 1MB}
  - {format: compressed-tensors, name: second}
`;

function recipe(): string {
  const path = join(tempFolder(), 'recipe.yaml');
  writeFileSync(path, RECIPE);
  return path;
}

/** SHA-256 of every file but those that tell of the run itself. */
function hashes(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return Object.fromEntries(
    files
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter(path => !/(report\.\w+|run\.json)$/.test(path))
      .map(path => [path.slice(folder.length), createHash('sha256').update(readFileSync(path)).digest('hex')] as const)
      .sort(),
  );
}

describe('a run that is killed', () => {
  it(`goes on with the same command and ends with the same bytes (${KILLS} kills)`, async function () {
    this.timeout(60_000 + KILLS * 20_000);
    const path = recipe();
    const [whole, out] = [join(tempFolder(), 'whole'), join(tempFolder(), 'out')];
    assert.equal((await cli(['apply', path, '--out', whole, '--quiet'])).exitCode, 0);
    for (let kills = 0; kills < KILLS;) {
      const run = execa(process.execPath, [BIN, 'apply', path, '--out', out, '--quiet'], { reject: false });
      // evenly over the length of a run, different each time
      const timer = setTimeout(() => run.kill('SIGKILL'), 200 + ((kills * 977) % 2500));
      const { exitCode } = await run;
      clearTimeout(timer);
      if (exitCode === undefined) {
        kills++;
        const looksFinished = existsSync(join(out, 'run.json'));
        if (!looksFinished) continue;
      } else if (!existsSync(join(out, 'run.json'))) {
        assert.fail(`exit code ${exitCode}`);
      }
      assert.deepEqual(hashes(out), hashes(whole));
      if (kills < KILLS) assert.equal((await cli(['apply', path, '--out', out, '--quiet', '--force'])).exitCode, 0);
      if (exitCode !== undefined) break;
    }
    if (!existsSync(join(out, 'run.json')))
      assert.equal((await cli(['apply', path, '--out', out, '--quiet'])).exitCode, 0);
    assert.deepEqual(hashes(out), hashes(whole));
  });

  it('stops on Ctrl-C with exit code 130 and says how to go on', async () => {
    const [path, out] = [recipe(), join(tempFolder(), 'out')];
    const run = execa(process.execPath, [BIN, 'apply', path, '--out', out], { reject: false });
    let stopped = false;
    run.stderr.on('data', (data: Buffer) => {
      if (!stopped && data.toString().includes('layers.2')) stopped = run.kill('SIGINT');
    });
    const { exitCode, stderr } = await run;
    assert.equal(exitCode, 130);
    assert.match(stderr, /stopped.*\n?.*same command/s);
    assert.ok(!existsSync(join(out, 'run.json')) && !existsSync(join(out, 'config.json')));
    assert.equal((await cli(['apply', path, '--out', out, '--quiet'])).exitCode, 0);
  });

  it('leaves what was to be replaced as it was when it is stopped early', async () => {
    const [path, out] = [recipe(), join(tempFolder(), 'out')];
    assert.equal((await cli(['apply', path, '--out', out, '--quiet'])).exitCode, 0);
    const before = hashes(out);
    const run = execa(process.execPath, [BIN, 'apply', path, '--out', out, '--force'], { reject: false });
    let stopped = false;
    run.stderr.on('data', (data: Buffer) => {
      if (!stopped && data.toString().includes('layers.2')) stopped = run.kill('SIGINT');
    });
    const { exitCode, stderr } = await run;
    assert.equal(exitCode, 130);
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack trace');
    const left = Object.entries(hashes(out)).filter(([name]) => !/^\/\.tensorpress|\.partial$/.test(name));
    assert.deepEqual(Object.fromEntries(left), before);
    assert.ok(existsSync(join(out, 'run.json')), 'the old run is still a finished one');
  }).timeout(240_000);

  it('does not go on with another recipe', async () => {
    const [path, out] = [recipe(), join(tempFolder(), 'out')];
    const run = execa(process.execPath, [BIN, 'apply', path, '--out', out], { reject: false });
    run.stderr.on('data', (data: Buffer) => {
      if (data.toString().includes('layers.3')) run.kill('SIGKILL');
    });
    await run;
    const { exitCode, stderr } = await cli([
      'apply',
      path,
      '--out',
      out,
      '--set',
      'modifiers.0.QuantizationModifier.scheme=W8A16',
    ]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /recipe/);
  });
});

describe('two runs at once', () => {
  it('do not write to one folder', async () => {
    const [path, out] = [recipe(), join(tempFolder(), 'out')];
    const both = await Promise.allSettled([1, 2].map(() => runSession({ recipe: path, out, threads: 0 })));
    const failed = both.flatMap(result => (result.status === 'rejected' ? [result.reason as unknown] : []));
    assert.equal(failed.length, 1);
    assert.ok(failed[0] instanceof TensorpressError && failed[0].exitCode === 2, String(failed[0]));
    assert.ok(existsSync(join(out, 'run.json')));
  });
});

describe('a second run while one works', () => {
  it('is refused in a sentence, forced or not, and takes nothing from the first', async () => {
    const [path, out] = [recipe(), join(tempFolder(), 'out')];
    const lock = newLock(out); // of this process, which lives
    await lockFolder(lock);
    try {
      for (const more of [[], ['--force']]) {
        const { exitCode, stdout, stderr } = await cli(['apply', path, '--out', out, '--quiet', ...more]);
        const [sentence, hint, ...rest] = stderr.split('\n');
        assert.deepEqual([exitCode, stdout, rest], [2, '', []], stderr);
        assert.equal(sentence, `another run is writing to ${out} (process ${process.pid})`);
        assert.equal(hint, '  wait for it, stop it, or choose another folder with --out');
      }
      assert.deepEqual(readdirSync(join(out, '.tensorpress')), [lock.file]);
    } finally {
      releaseLock(lock);
    }
  }).timeout(240_000);
});

describe('threads', () => {
  it('change nothing', async () => {
    const path = join(tempFolder(), 'recipe.yaml');
    writeFileSync(
      path,
      'version: 1\nmodifiers:\n  - QuantizationModifier: {scheme: W4A16_ASYM, targets: [Linear, Embedding]}\n',
    );
    const outputs: Record<string, string>[] = [];
    for (const threads of [1, 2, 3, 16]) {
      const out = join(tempFolder(), 'out');
      assert.equal((await cli(['apply', path, '--out', out, '--quiet', '--threads', String(threads)])).exitCode, 0);
      outputs.push(hashes(out));
    }
    for (const output of outputs) assert.deepEqual(output, outputs[0]);
  });
});
