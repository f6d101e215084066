import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunComparison } from '../../src/run/compare.js';
import { FAKE_RUNS, fakeRuns } from '../support/fake-runs.js';
import { cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

const names = FAKE_RUNS.map(({ name }) => name);

describe('compare', () => {
  it('prints a table, the smallest first, and marks the front', async () => {
    const { exitCode, stdout, stderr } = await cli(['compare', ...names], { cwd: fakeRuns(FAKE_RUNS) });
    assert.equal(exitCode, 0, stderr);
    const rows = stdout.split('\n').filter(line => names.some(name => line.trim().startsWith(`${name} `)));
    assert.equal(rows.length, names.length);
    assert.match(
      rows.find(row => row.includes('w4-mse '))!,
      /457 MB +7\.40 +16\.24 +0\.022 ± 0\.001 +94\.7 % +10:41 +front$/,
    );
    const front = rows.filter(row => row.endsWith('front')).map(row => row.trim().split(' ')[0]);
    assert.deepEqual(front, ['w4-mse', 'w4-mse-g32', 'w6', 'w8']);
  });

  it('gives the data with --json, and a page with --out', async () => {
    const cwd = fakeRuns(FAKE_RUNS);
    const { exitCode, stdout, stderr } = await cli(['compare', ...names, '--json', '--out', 'all.html'], { cwd });
    assert.equal(exitCode, 0, stderr);
    const { runs, comparable, notes } = JSON.parse(stdout) as RunComparison;
    assert.deepEqual([runs.map(({ name }) => name), comparable, notes], [names, true, []]);
    assert.match(runs[0]!.recipe, /^version: 1\n[^]*num_bits: 4\n/);
    const page = readFileSync(join(cwd, 'all.html'), 'utf8');
    assert.match(page, /Size against loss/);
    assert.ok(!existsSync(join(cwd, 'all.html.partial')));
  });

  it('shows right answers where all runs were asked the same', async () => {
    const task = {
      file: 't.jsonl',
      ...{ questions: 80, accuracy: 0.7625, accuracy_error: 0.05, accuracy_norm: 0.7, accuracy_norm_error: 0.05 },
      base: { questions: 80, accuracy: 0.8, accuracy_error: 0.05, accuracy_norm: 0.7, accuracy_norm_error: 0.05 },
    };
    const two = FAKE_RUNS.slice(0, 2);
    const asked = (questions: number) =>
      fakeRuns(two, (report, { name }) => ({
        ...report,
        quality: { ...report.quality!, task: name === 'w4-mse' ? { ...task, questions } : task },
      }));
    const [same, others] = [asked(80), asked(81)];
    const found = await cli(['compare', 'w4-minmax', 'w4-mse', '--out', 'all.html'], { cwd: same });
    assert.match(found.stdout, /same top +right +time/);
    assert.match(found.stdout, /94\.7 % +76\.3 % +10:41/);
    assert.match(readFileSync(join(same, 'all.html'), 'utf8'), /<td data-value="0\.7625">76\.3/);
    const different = await cli(['compare', 'w4-minmax', 'w4-mse', '--out', 'all.html'], { cwd: others });
    assert.doesNotMatch(different.stdout, /right/);
    assert.doesNotMatch(readFileSync(join(others, 'all.html'), 'utf8'), /right answers/);
    assert.match(different.stdout, /front$/m);
  });

  it('says where runs were judged on different texts, and draws no front', async () => {
    const cwd = fakeRuns(FAKE_RUNS.slice(0, 2), (report, { name }) =>
      name === 'w4-mse'
        ? { ...report, quality: { ...report.quality!, data: '/x/other.txt', rows_sha256: 'f'.repeat(64) } }
        : report,
    );
    const { exitCode, stdout } = await cli(['compare', 'w4-minmax', 'w4-mse', '--out', 'all.html'], { cwd });
    assert.equal(exitCode, 0);
    assert.match(stdout, /judged on different texts \(w4-minmax: wikitext2-test-excerpt\.txt, .*; w4-mse: other\.txt/);
    assert.doesNotMatch(stdout, /front$/m);
    assert.doesNotMatch(readFileSync(join(cwd, 'all.html'), 'utf8'), /<svg/);
  });

  it('refuses in one sentence what is no run, not finished or not evaluated', async () => {
    const cwd = fakeRuns(FAKE_RUNS.slice(0, 2), (report, { name }) => {
      const { quality: _, ...rest } = report;
      return name === 'w4-mse' ? rest : report;
    });
    mkdirSync(join(cwd, 'begun/.tensorpress'), { recursive: true });
    const head = { fingerprint: {}, files: [], replaces: [] };
    writeFileSync(join(cwd, 'begun/.tensorpress/journal.jsonl'), `${JSON.stringify(head)}\n`);
    const cases: [string[], RegExp][] = [
      [['w4-minmax', 'begun'], /the run in begun is not finished/],
      [['w4-minmax', 'nowhere'], /nowhere is no run folder/],
      [['w4-minmax', tempFolder()], /is no run folder/],
      [['w4-minmax', 'w4-mse'], /the report of w4-mse says nothing of quality/],
      [['w4-minmax'], /one run has nothing to be compared with/],
      [['w4-minmax', 'w4-mse', '--out', 'page.pdf'], /page\.pdf is no name of a page/],
    ];
    for (const [args, sentence] of cases) {
      const { exitCode, stderr } = await cli(['compare', ...args], { cwd });
      assert.equal(exitCode, 2, args.join(' '));
      assert.match(stderr, sentence);
      assert.doesNotMatch(stderr, /^\s+at /m);
    }
  });
});
