import assert from 'node:assert/strict';
import { reportHtml } from '../../../src/run/html/page.js';
import type { Report } from '../../../src/run/report.js';
import { fakeReport } from '../../support/fake-report.js';

const HOSTILE = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&\u202e\u0000`;

function reports(): Record<string, Report> {
  const plain = fakeReport();
  const bare = fakeReport({ weights: 'none' });
  const exact = (m: Report['modules'][number]) =>
    m.relMSE === undefined ? m : { ...m, relMSE: 0, sqnr_db: null, max_error: 0, squared_error: 0 };
  return {
    plain,
    'nothing quantized': bare,
    'no modules': { ...bare, modules: [], plan: { ...bare.plan, steps: [], outputs: [], runtimes: [], warnings: [] } },
    'one layer': fakeReport({ layers: 1 }),
    'one module': { ...plain, modules: plain.modules.filter(m => m.squared_error !== undefined).slice(0, 1) },
    '100 layers': fakeReport({ layers: 100, weights: 'fp8' }),
    'no squared errors': fakeReport({ squaredErrors: false }),
    'no histograms': fakeReport({ histograms: 0 }),
    'all exact': { ...plain, modules: plain.modules.map(exact) },
    'nothing at all': { ...bare, modules: [], seconds: 0, size: { before: 0, after: 0 } },
    'evaluated, with questions and texts': fakeReport({ quality: 'in layers 0-2', asked: true }),
    'evaluated, nothing lost': fakeReport({ quality: 'equal' }),
    mixture: fakeReport({ layers: 3, experts: 40, weights: 'fp4' }),
    'hostile names': fakeReport({ layers: 2, rename: module => `${module}.${HOSTILE}` }),
  };
}

describe('report.html', () => {
  for (const [name, report] of Object.entries(reports())) {
    it(`holds no figure that is none, and nothing from elsewhere: ${name}`, async () => {
      const page = await reportHtml(report);
      const text = page.replace(/<style>[^]*<\/style>|<script>[^]*<\/script>/g, '');
      assert.equal(text.match(/.{0,40}(?:NaN|undefined|Infinity|\[object|\bnull\b).{0,40}/)?.[0], undefined);
      assert.equal(page.match(/https?:|@import|url\(/)?.[0], undefined);
      assert.match(text, /<h1>.+<\/h1>/);
      assert.match(text, /<h2 id="again">/);
    });
  }

  it('is the same for the same report, whatever was drawn before', async () => {
    const first = await reportHtml(fakeReport());
    await reportHtml(fakeReport({ layers: 5, experts: 4 }));
    assert.equal(await reportHtml(JSON.parse(JSON.stringify(fakeReport())) as Report), first);
  });

  it('shows hostile names as text', async () => {
    const plain = fakeReport({ layers: 2, rename: module => `${module}.${HOSTILE}` });
    const page = await reportHtml({
      ...plain,
      title: HOSTILE,
      verdict: `${HOSTILE}; ${HOSTILE}`,
      plan: { ...plain.plan, recipe: HOSTILE, model: { ...plain.plan.model, name: HOSTILE, notes: [HOSTILE] } },
      remarks: [{ module: HOSTILE, message: HOSTILE }],
      modules: plain.modules.map(m => (m.histogram ? { ...m, histogram: { ...m.histogram, labels: [HOSTILE] } } : m)),
    });
    assert.equal(page.match(/<script/g)?.length, 1);
    assert.equal(page.match(/<img|onerror=alert\(2\)>|[\u202e\u0000]/)?.[0], undefined);
    assert.ok(page.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
    assert.ok(page.includes('&amp;\\u{202e}\\u{0}'));
  });

  it('shows questions with intervals, and texts side by side with the words that differ', async () => {
    const page = await reportHtml(fakeReport({ layers: 2, quality: 'everywhere', asked: true }));
    assert.match(page, /right answers<\/th><td class="figure">78\.8 %<\/td><td class="figure">68\.6 % to 86\.3 %/);
    assert.match(
      page,
      /<dt>original<\/dt><dd>a company of engineers from Vienna, who <mark>had never seen the river<\/mark>/,
    );
    assert.match(page, /the first 10 of 36 tokens are the same/);
    assert.equal(page.match(/<script/g)?.length, 1);
    assert.match(page, /return <mark>&lt;script&gt;alert\(1\)&lt;\/script&gt;<\/mark>/);
    const silent = await reportHtml(fakeReport({ layers: 2, quality: 'everywhere' }));
    assert.equal(silent.match(/id="(questions|texts)"/), null);
  });

  it('names the model in the command as a shell takes it', async () => {
    const plain = fakeReport({ layers: 1 });
    const named = (name: string) =>
      reportHtml({ ...plain, plan: { ...plain.plan, model: { ...plain.plan.model, name } } });
    assert.match(await named('Qwen/Qwen2.5-0.5B'), /--model Qwen\/Qwen2\.5-0\.5B --out/);
    assert.match(await named("my model's"), /--model &#39;my model&#39;\\&#39;&#39;s&#39; --out/);
  });

  it('says what stands out', async () => {
    assert.match(
      await reportHtml(fakeReport()),
      /hold 8\.9\u00a0% of the squared error with 3\.7\u00a0% of the quantized weights/,
    );
    const even = fakeReport({ layers: 4 });
    const modules = even.modules.map(m => (m.relMSE ? { ...m, squared_error: m.shape[0] * m.shape[1] } : m));
    assert.match(await reportHtml({ ...even, modules }), /The error of the weights is spread evenly/);
  });

  it('tells what of the calibration data was left out', async () => {
    const notes = ['7 tokens of <a>.txt are left out'];
    const calibration = { tokens: 128, sequences: 1, rows_sha256: '', engine: 'onnxruntime', notes };
    assert.match(
      await reportHtml({ ...fakeReport(), calibration }),
      /<li>7 tokens of &lt;a&gt;\.txt are left out<\/li>/,
    );
  });

  it('joins equal remarks', async () => {
    const page = await reportHtml(fakeReport());
    assert.equal(page.match(/one group is all zeros/g)?.length, 1);
    assert.match(page, /and 2 more modules/);
  });

  it('stays below 2 MB for 5000 modules', async () => {
    const report = fakeReport({ layers: 28, experts: 60, weights: 'fp4' });
    assert.ok(report.modules.length > 5000);
    const page = await reportHtml(report);
    assert.ok(page.length < 2e6, `${page.length} characters`);
    const [table] = /<table class="modules"[^]*?<\/table>/.exec(page)!;
    assert.equal(table.match(/<tr><th scope="row">/g)?.length, report.modules.length);
  });
});
