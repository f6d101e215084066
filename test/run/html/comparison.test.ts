import assert from 'node:assert/strict';
import type { ComparedRun, RunComparison } from '../../../src/run/compare.js';
import { comparisonHtml } from '../../../src/run/html/comparison.js';

const HOSTILE = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&\u202e\u0000`;

const run = (name: string, change: Partial<ComparedRun> = {}): ComparedRun => ({
  ...{ name, folder: `/out/${name}`, title: name, base: 'm', size: 1e6, bits_per_weight: 4.1, perplexity: 9 },
  ...{ base_perplexity: 8, kl: 0.03, kl_interval: { low: 0.02, high: 0.04 }, same_top1: 0.9, accuracy: null },
  ...{ seconds: 12, text: 't.txt', rows_sha256: '', on_front: true, verdict: 'as it is.', recipe: 'a: 1\n' },
  ...change,
});

const page = (runs: readonly ComparedRun[], notes: string[] = []) =>
  comparisonHtml({ version: 1, runs, comparable: notes.length === 0, notes } satisfies RunComparison, '0.1.0');

describe('the page of a comparison', () => {
  it('says which run is the smallest and which the nearest', async () => {
    const text = await page([run('w4'), run('w8', { size: 2e6, kl: 0.001, kl_interval: null })]);
    assert.match(
      text,
      /<code>w4<\/code> is the smallest \(1\.00\u00a0MB, KL 0\.03[^)]*±[^)]*\), <code>w8<\/code> the nearest/,
    );
    assert.match(
      await page([run('a'), run('b')]),
      /<code>a<\/code> and <code>b<\/code> are the smallest and the nearest/,
    );
    const beaten = await page([run('a'), run('b', { size: 2e6, kl: 0.1, on_front: false })]);
    assert.match(beaten, /<code>a<\/code> is the smallest and the nearest/);
  });

  it('has a column of right answers where there are any', async () => {
    const text = await page([run('w4', { accuracy: 0 }), run('w8', { accuracy: 0.8 })]);
    assert.match(text, /right answers/);
    assert.match(text, /<td data-value="0">0\.0/);
    assert.doesNotMatch(await page([run('w4'), run('w8')]), /right answers/);
  });

  it('draws nothing where runs cannot be compared, and says why', async () => {
    const text = await page([run('w4', { on_front: null }), run('w8', { on_front: null })], ['other texts']);
    assert.match(text, /cannot be held against each other[^]*<li>other texts<\/li>/);
    assert.doesNotMatch(text, /<svg/);
  });

  it('shows what differs in the recipes, and where nothing does', async () => {
    const text = await page([run('w4'), run('w8', { recipe: 'a: 2\n' }), run('twin')]);
    assert.match(text, /<span class="removed">− a: 1<\/span><span class="added">\+ a: 2<\/span>/);
    assert.match(text, /The same recipe\./);
  });

  it('shows hostile names as text, and no figure that is none', async () => {
    const change = { base: HOSTILE, text: HOSTILE, verdict: HOSTILE, recipe: `${HOSTILE}\n` };
    const text = await page([run(HOSTILE, change), run('w8', { kl: 0, size: 0, seconds: 0, kl_interval: null })]);
    assert.equal(text.match(/<script/g)?.length, 1);
    assert.equal(text.match(/<img|[\u202e\u0000]/), null);
    const shown = text.replace(/<style>[^]*<\/style>|<script>[^]*<\/script>/g, '');
    assert.equal(shown.match(/.{0,40}(?:NaN|undefined|Infinity|\[object|\bnull\b).{0,40}/)?.[0], undefined);
  });
});
