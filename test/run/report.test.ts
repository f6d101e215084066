import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PartResult } from '../../src/run/execute.js';
import { plan } from '../../src/run/prepare.js';
import { buildReport, worstModules, type ModuleReport } from '../../src/run/report.js';
import type { PlanSummary } from '../../src/run/summary.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel, writeRecipe, type TinyLlama } from '../support/tiny-model.js';

async function summaryOf(options: string, model: TinyLlama = {}): Promise<PlanSummary> {
  const folder = await writeModel(tinyLlama({ layers: 1, ...model }));
  return await plan({ recipe: writeRecipe(options), model: folder, out: join(tempFolder(), 'out') });
}

/** A result in which a module's relative error is what `errors` says. */
function resultOf(errors: Readonly<Record<string, number>>): PartResult {
  const usage = Array.from({ length: 256 }, (_, code) => code);
  const figures = (relMSE: number) => ({
    relMSE,
    sqnr: relMSE === 0 ? null : -10 * Math.log10(relMSE),
    maxError: relMSE,
    squaredError: relMSE * 100,
    observer: 'memoryless_minmax',
    usage,
  });
  const modules = Object.fromEntries(Object.entries(errors).map(([name, e]) => [name, figures(e)]));
  return { part: 'layers.0', tensors: [], record: { modules, sources: {}, remarks: [{ module: 'a', message: 'b' }] } };
}

const built = (summary: PlanSummary, errors: Readonly<Record<string, number>>) =>
  buildReport({
    plan: summary,
    results: [resultOf(errors)],
    version: '1.2.3',
    date: new Date(0),
    seconds: 2,
    peakMemory: 5,
  });

const of = (modules: readonly ModuleReport[], name: string) => modules.find(({ module }) => module === name)!;

describe('buildReport', () => {
  it('puts what was measured beside what was planned', async () => {
    const summary = await summaryOf('{scheme: W8A8, ignore: [lm_head]}');
    const names = summary.modules.filter(m => m.scheme).map(m => m.module);
    assert.equal(names.length, 7);
    const report = built(summary, Object.fromEntries(names.map((name, i) => [name, i * 2 ** -12])));
    assert.deepEqual(
      [report.version, report.date, report.tensorpress, report.seconds, report.peak_memory_bytes],
      [1, '1970-01-01T00:00:00.000Z', '1.2.3', 2, 5],
    );
    assert.deepEqual(report.remarks, [{ module: 'a', message: 'b' }]);
    assert.deepEqual([report.size, report.bits_per_weight], [summary.size, summary.bits_per_weight]);
    assert.ok(!('modules' in report.plan));
    const worst = of(report.modules, names[6]!);
    assert.deepEqual(
      [worst.relMSE, worst.max_error, worst.squared_error],
      [6 * 2 ** -12, 6 * 2 ** -12, 600 * 2 ** -12],
    );
    assert.ok(Math.abs(worst.sqnr_db! - 28.3) < 0.1);
    assert.equal(of(report.modules, 'lm_head').relMSE, undefined);
    assert.equal(of(report.modules, names[0]!).sqnr_db, null, 'nothing changed');
    assert.match(
      report.verdict,
      new RegExp(`^\\d+ % of the original size; .* is ${names[6]!.replaceAll('.', '\\.')} \\(SQNR 28\\.3 dB\\)\\.$`),
    );
    assert.match(report.title, /^tiny at 8\.\d\d bits$/);
  });

  it('shows how codes are used for the eight worst modules', async () => {
    const summary = await summaryOf('{scheme: W8A8}', { layers: 2 });
    const names = summary.modules.filter(m => m.scheme).map(m => m.module);
    const { modules } = built(summary, Object.fromEntries(names.map((name, i) => [name, (i + 1) * 1e-4])));
    const shown = modules.filter(m => m.histogram !== undefined).map(m => m.module);
    assert.deepEqual(shown, names.slice(-8));
    assert.equal(of(modules, names.at(-1)).histogram!.labels.length, 256);
  });

  it('counts a head that is stored with its embedding once', async () => {
    const summary = await summaryOf('{scheme: INT8, targets: [Linear, Embedding]}', { tied: 'absent' });
    const report = built(summary, { 'model.embed_tokens': 1e-3 });
    const head = of(report.modules, 'lm_head');
    assert.deepEqual(
      [head.stored_with, head.relMSE, head.bytes],
      ['model.embed_tokens', 1e-3, { before: 0, after: 0 }],
    );
    assert.deepEqual(
      worstModules(report.modules, 5).map(m => m.module),
      ['model.embed_tokens'],
    );
  });

  it('says so when no weight was changed', async () => {
    const report = built(await summaryOf('{scheme: UNQUANTIZED}'), {});
    assert.equal(report.verdict, '100 % of the original size; no weight was changed.');
    assert.equal(report.bits_per_quantized_weight, null);
    assert.equal(report.title, 'tiny at 16.00 bits');
  });
});

describe('summarizePlan', () => {
  it('counts bytes and bits from real lengths', async () => {
    const {
      modules,
      size,
      bits_per_weight: bits,
      bits_per_quantized_weight: quantized,
      model,
    } = await summaryOf('{scheme: FP8_DYNAMIC, ignore: [lm_head]}');
    const down = modules.find(m => m.module === 'model.layers.0.mlp.down_proj')!;
    assert.deepEqual(down.shape, [64, 96]);
    assert.deepEqual(down.bytes, { before: 64 * 96 * 2, after: 64 * 96 + 64 * 2 });
    assert.equal(down.bits_per_weight, ((64 * 96 + 128) * 8) / (64 * 96));
    const parameters = 2 * 80 * 64 + 3 * 64 + (64 + 32 + 32 + 64) * 64 + 3 * 64 * 96;
    assert.equal(model.parameters, parameters);
    assert.equal(size.before, parameters * 2);
    assert.equal(bits, (size.after * 8) / parameters);
    const coded = modules.filter(m => m.scheme);
    const sum = (pick: (m: (typeof coded)[number]) => number) => coded.reduce((n, m) => n + pick(m), 0);
    assert.equal(quantized, (sum(m => m.bytes.after) * 8) / sum(m => m.shape[0] * m.shape[1]));
  });

  it('tells of the model, the work and the advice', async () => {
    const summary = await summaryOf('{scheme: W8A8, ignore: [lm_head, "re:.*nothing"]}');
    assert.deepEqual(
      { ...summary.model, folder: '' },
      {
        name: 'tiny',
        folder: '',
        architecture: 'LlamaForCausalLM',
        known: true,
        layers: 1,
        parameters: summary.model.parameters,
        dtype: 'BF16',
        tied_embeddings: false,
        notes: [],
      },
    );
    assert.deepEqual(summary.steps, [
      {
        modifier: 'QuantizationModifier',
        modules: 7,
        arithmetic: 'reference',
        patterns: [
          { pattern: 'Linear', role: 'target', matched: 8, decided: 7 },
          { pattern: 'lm_head', role: 'ignore', matched: 1, decided: 1 },
          { pattern: 're:.*nothing', role: 'ignore', matched: 0, decided: 0 },
        ],
      },
    ]);
    assert.equal(summary.warnings.length, 1);
    assert.ok(summary.runtimes.every(({ loads }) => loads));
    assert.equal(summary.recipe, 'recipe.yaml');
  });

  it('lists what attention becomes, and what calibration data are for', async () => {
    const options = '{scheme: FP8, ignore: [lm_head], kv_cache_scheme: {num_bits: 8, type: float}}';
    const text = join(tempFolder(), 'a.txt');
    writeFileSync(text, 'some words\n'.repeat(200));
    const { attention, observed, passes, steps, runtimes } = await plan({
      recipe: writeRecipe(options),
      model: await writeModel(tinyLlama({ layers: 3 })),
      out: join(tempFolder(), 'out'),
      set: [`calibration.dataset=${text}`],
    });
    assert.deepEqual(
      attention.map(({ module, queries, cache }) => [module, queries, cache.type]),
      [
        ['model.layers.0.self_attn', null, 'float'],
        ['model.layers.1.self_attn', null, 'float'],
        ['model.layers.2.self_attn', null, 'float'],
      ],
    );
    assert.deepEqual(observed, { static_minmax: 21 + 6 });
    const pass = { stream: 0, observing: ['QuantizationModifier'], edited: [], pushes: true };
    assert.deepEqual(passes, [
      { parts: ['embedding'], passes: [{ ...pass, observing: [] }] },
      { parts: ['layers.0', 'layers.1'], passes: [pass] },
      { parts: ['layers.2'], passes: [{ ...pass, pushes: false }] },
    ]);
    assert.equal(steps[0]!.modules, 24);
    assert.ok(runtimes.every(({ loads }) => loads));
  });

  it('names no arithmetic where no codes are made', async () => {
    const { steps } = await summaryOf('{kv_cache_scheme: {num_bits: 8, strategy: token, dynamic: true}}');
    assert.equal(steps[0]!.arithmetic, undefined);
  });

  it('estimates disk exactly, memory and time above nothing', async () => {
    const { estimate, outputs } = await summaryOf('{scheme: NVFP4A16, ignore: [lm_head], weight_observer: mse}');
    assert.equal(
      estimate.disk_bytes,
      outputs[0]!.files.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    assert.ok(estimate.seconds > 0 && estimate.seconds < 60, String(estimate.seconds));
    assert.ok(estimate.memory_bytes > 20e6);
  });
});
