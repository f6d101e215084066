import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { apply } from '../../src/run/apply.js';
import { evaluate } from '../../src/run/evaluate.js';
import { withQuality, type Report } from '../../src/run/report.js';
import { fakeReport } from '../support/fake-report.js';
import { ROOT } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

const schema = JSON.parse(readFileSync(join(ROOT, 'schema/report.schema.json'), 'utf8')) as object;
const accepts = new Ajv2020({ allErrors: true, strict: false }).compile(schema);

/** What the schema says against a report, as it is after a way through a file. */
function complaints(report: unknown): string[] {
  return accepts(JSON.parse(JSON.stringify(report))) ? [] : accepts.errors!.map(e => `${e.instancePath} ${e.message}`);
}

describe('report.schema.json', () => {
  it('describes the report of a run, before and after its evaluation', async () => {
    const out = join(tempFolder(), 'out');
    const { report } = await apply({ recipe: join(ROOT, 'recipes/quickstart.yaml'), out });
    assert.deepEqual(complaints(JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))), []);

    const data = join(ROOT, 'examples/data/wikitext2-test-excerpt.txt');
    const against = join(ROOT, 'examples/tiny-llama');
    const found = await evaluate({ model: out, against, data, context: 64, windows: 2 });
    assert.ok('kl' in found);
    const judged = withQuality(report, found);
    assert.deepEqual(complaints(judged), []);
    assert.deepEqual(complaints({ ...judged, quality: { ...judged.quality, intervals: null } }), []);
    assert.equal(judged.kl, judged.quality!.kl);
    assert.match(judged.verdict, /^6\.29 bits per weight, KL 0\.\d+ ± 0\.\d+: .+\.$/);
  });

  it('describes every kind of report', () => {
    for (const weights of ['int4', 'fp8', 'fp4', 'none'] as const)
      assert.deepEqual(complaints(fakeReport({ weights })), []);
    for (const quality of ['in layers 0-2', 'everywhere', 'equal'] as const) {
      assert.deepEqual(complaints(fakeReport({ quality })), [], quality);
      assert.deepEqual(complaints(fakeReport({ quality, asked: true })), [], quality);
    }
  });

  it('takes nothing that a report is not', () => {
    const report = fakeReport({ layers: 2, quality: 'everywhere' });
    const without = (key: keyof Report) => Object.fromEntries(Object.entries(report).filter(([name]) => name !== key));
    assert.match(complaints(without('modules')).join(), /modules/);
    assert.match(complaints(without('perplexity')).join(), /perplexity/);
    assert.match(complaints({ ...report, same_top1: 1.2 }).join(), /same_top1/);
    assert.match(complaints({ ...report, verdikt: '' }).join(), /additional/);
    const { base_perplexity: _, ...less } = report.quality as unknown as Record<string, unknown>;
    assert.match(complaints({ ...report, quality: less }).join(), /base_perplexity/);
  });
});
