import assert from 'node:assert/strict';
import { modelCard } from '../../src/run/card.js';
import { reportMarkdown } from '../../src/run/markdown.js';
import type { Report } from '../../src/run/report.js';
import { fakeReport } from '../support/fake-report.js';

const lines = (text: string) => text.split('\n');

/** Cells of the table under a heading. */
function table(text: string, heading: string): string[][] {
  const all = lines(text);
  const from = all.indexOf(`## ${heading}`);
  assert.notEqual(from, -1, heading);
  const end = all.findIndex((line, i) => i > from && line.startsWith('## '));
  const rows = all.slice(from + 2, end < 0 ? undefined : end).filter(line => line.startsWith('|'));
  return rows.map(row =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map(cell => cell.trim()),
  );
}

describe('report.md', () => {
  const report = fakeReport({ layers: 3 });
  const text = reportMarkdown(report);

  it('has the figures of the report', () => {
    assert.equal(lines(text)[0], `# ${report.title}`);
    assert.ok(text.includes(report.verdict));
    assert.ok(text.includes(`| bits per weight | 16.00 | ${report.bits_per_weight.toFixed(2)} |`));
    assert.match(text, /in 10:41, peak memory 402 MB\./);
  });

  it('has questions and texts, and nothing in them is markup; the card says what was answered', () => {
    const asked = fakeReport({ layers: 2, quality: 'everywhere', asked: true });
    const text = reportMarkdown(asked);
    assert.deepEqual(table(text, 'Questions').slice(2, 4), [
      ['right answers', '78.8 %', '68.6 % to 86.3 %'],
      ['of the original', '80.0 %', '70.0 % to 87.3 %'],
    ]);
    assert.match(text, /^- `One, two, three,`\n {2}- original: `four, five, six, seven`\n/m);
    assert.match(
      text,
      /this model: `return <script>alert\(1\)<\/script>`\n {2}- they differ from the first token on$/m,
    );
    assert.match(
      modelCard(asked, ''),
      /^80 questions of task\.jsonl: 78\.8 % right \(95 % interval 68\.6 % to 86\.3 %\), by the original 80\.0 %\.$/m,
    );
    assert.doesNotMatch(reportMarkdown(report), /## (Questions|How it goes on)/);
  });

  it('lists every quantized module once, and the ten worst', () => {
    const quantized = report.modules.filter(m => m.relMSE !== undefined);
    const modules = table(text, 'Modules').slice(2);
    assert.deepEqual(
      modules.map(([name]) => name),
      quantized.map(({ module }) => `\`${module}\``),
    );
    const worst = table(text, 'Largest errors').slice(2);
    assert.equal(worst.length, 10);
    const errors = worst.map(row => Number(row[5]));
    assert.deepEqual(
      [...errors].sort((a, b) => b - a),
      errors,
    );
    assert.ok(table(text, 'Modules').every(row => row.length === 7));
  });

  it('counts what is left as it is, alike modules on one line', () => {
    const untouched = reportMarkdown(fakeReport({ layers: 3, weights: 'none' }));
    assert.ok(lines(untouched).includes('- `model.layers.*.mlp.up_proj` (3)'));
    assert.ok(!untouched.includes('## Modules'));
    assert.ok(lines(text).includes('- `model.embed_tokens`'));
  });

  it('holds notes, warnings and remarks', () => {
    assert.ok(text.includes('- 49 norms and 72 biases have no scheme and are copied'));
    assert.ok(text.includes('matches nothing'));
    assert.ok(text.includes(`- ${report.remarks[0]!.module}: ${report.remarks[0]!.message}`));
  });

  it('takes nothing in a name for markup', () => {
    const odd = reportMarkdown(fakeReport({ layers: 1, rename: name => name.replace('q_proj', 'a|b<script>`*x*') }));
    const rows = table(odd, 'Modules');
    assert.ok(rows.every(row => row.length === 7));
    assert.ok(rows.some(([name]) => name === "`model.layers.0.self_attn.a\\|b<script>'*x*`"));
  });
});

describe('the calibration data in report.md', () => {
  const notes = ['7 tokens of a.txt at the end of 1 document fill no window of 128 and are left out'];
  const data = { tokens: 128, sequences: 1, rows_sha256: '', engine: 'onnxruntime', notes };

  it('are told, with what of them was left out', () => {
    const text = reportMarkdown({ ...fakeReport({ layers: 1 }), calibration: data });
    assert.match(text, /## Calibration\n\n128 tokens in 1 row, onnxruntime\.\n\n- 7 tokens of a\.txt at the end/);
    assert.ok(!reportMarkdown(fakeReport({ layers: 1 })).includes('## Calibration'));
  });
});

describe('the model card', () => {
  const report = fakeReport();
  const card = modelCard(report, 'version: 1\nmodifiers: []\n');

  it('begins with what a model hub reads', () => {
    const front = lines(card).slice(0, lines(card).indexOf('---', 1) + 1);
    assert.deepEqual(front, [
      '---',
      'base_model: Qwen/Qwen2.5-0.5B',
      'base_model_relation: quantized',
      'library_name: transformers',
      'tags:',
      '- compressed-tensors',
      '- tensorpress',
      '---',
    ]);
  });

  it('says nothing of a base model that is a folder', () => {
    const local: Report = { ...report, plan: { ...report.plan, model: { ...report.plan.model, name: 'my model' } } };
    assert.ok(!modelCard(local, '').includes('base_model'));
  });

  it('tells what was done, what it costs, and where it loads', () => {
    assert.ok(card.includes('168 modules: int4 group 128 symmetric, pack-quantized'));
    assert.ok(card.includes('Loads in transformers 5.18.'));
    assert.ok(!card.includes('vLLM 0.21'), 'it would not load there');
    assert.match(card, /```yaml\nversion: 1\nmodifiers: \[\]\n```/);
    assert.match(card, /\| bits per weight \| 16\.00 \| /);
  });

  it('tells what is done to inputs and to the cache', () => {
    const cache = {
      ...report.modules[1]!.scheme!.weights!,
      type: 'float',
      num_bits: 8,
      strategy: 'tensor',
      group_size: null,
    } as const;
    const attention = [0, 1].map(i => ({ module: `model.layers.${i}.self_attn`, queries: null, cache }));
    const [dense, one] = report.modules;
    const own: Report = {
      ...report,
      plan: { ...report.plan, attention },
      modules: [dense!, { ...one!, scheme: { ...one!.scheme!, input_activations: cache } }],
    };
    for (const text of [modelCard(own, ''), reportMarkdown(own)]) {
      assert.match(text, /^- 1 module: int4 group 128 symmetric, inputs fp8 tensor, pack-quantized$/m);
      assert.match(text, /^- cache of 2 layers: keys and values fp8 tensor$/m);
    }
  });

  it('is free of times, so that equal runs write equal cards', () => {
    const later: Report = { ...report, date: '2030-01-01T00:00:00.000Z', seconds: 1, peak_memory_bytes: 1 };
    assert.equal(modelCard(later, ''), modelCard(report, ''));
  });
});
