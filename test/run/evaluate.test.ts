import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors/source.js';
import { widen } from '../../src/numerics/dtypes.js';
import { evaluate, type EvaluateEvent } from '../../src/run/evaluate.js';
import { largestError, logits, nll, readLogits, rmse, run, textFile, tokenFile } from '../support/evaluation.js';
import { goldenFile, goldenFolder, goldenJson, goldenList } from '../support/golden.js';
import { referenceCases } from '../support/reference-models.js';
import { ROOT } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';
import { matrix, tinyLlama, writeModel, type TinyModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');
const EXCERPT = join(ROOT, 'examples/data/wikitext2-test-excerpt.txt');
const CHECKPOINTS = 'compressed-tensors/checkpoints';

/** More than the quick tests: every context of the golden perplexities. */
const SLOW = process.env['TENSORPRESS_SLOW'] === '1';

interface Statistics {
  readonly float32_implementation_noise_rmse: number;
  readonly logit_std?: number;
}

/** Whether config.json asks for anything to be done to activations. */
function quantizesActivations(folder: string): boolean {
  const { quantization_config: quantization } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as {
    quantization_config?: { kv_cache_scheme: unknown; config_groups: Record<string, { input_activations: unknown }> };
  };
  if (quantization === undefined) return false;
  const { kv_cache_scheme: cache, config_groups: groups } = quantization;
  return cache != null || Object.values(groups).some(({ input_activations: inputs }) => inputs != null);
}

describe('evaluate: checkpoints of llm-compressor', () => {
  const names = ['source', ...goldenList(CHECKPOINTS)];
  const expected = new Map<string, Float32Array>();
  let data: string | undefined;
  let statistics: Record<string, Statistics[]> | undefined;

  before(async () => {
    const prompts = goldenJson<{ prompts: number[][] }>('compressed-tensors/prompts.json')?.prompts;
    const bytes = goldenFile('compressed-tensors/reference_logits.safetensors');
    statistics = goldenJson('compressed-tensors/reference_stats.json');
    if (prompts === undefined || bytes === undefined) return;
    data = tokenFile(prompts);
    const file = textFile('reference.safetensors', '');
    (await import('node:fs')).writeFileSync(file, bytes);
    const source = await openSafetensors(file);
    for (const name of source.tensors.keys()) expected.set(name, widen(await source.read(name), 'F32').slice());
    await source.close();
  });

  for (const name of names) {
    it(`golden logits of ${name}`, async function () {
      const folder = goldenFolder(name === 'source' ? 'compressed-tensors/tiny_source' : `${CHECKPOINTS}/${name}`);
      if (folder === undefined || data === undefined || !expected.has(`${name}.prompt0`)) return this.skip();
      const { rows } = await logits({ model: folder, data });
      const std = statistics!['source']![0]!.logit_std!;
      for (const [i, row] of rows.entries()) {
        const noise = statistics![name]![i]!.float32_implementation_noise_rmse;
        const tolerance = quantizesActivations(folder) ? 3 * noise + 1e-4 : 1e-4 * std;
        const error = rmse(row, expected.get(`${name}.prompt${i}`)!);
        assert.ok(error <= tolerance, `prompt ${i}: ${error} > ${tolerance}`);
      }
      assert.equal(rows.length, 2);
    });
  }
});

describe('evaluate: reference models', () => {
  const cases = referenceCases();
  if (cases.length === 0) {
    it('golden logits of every architecture', function () {
      this.skip();
    });
  }
  for (const reference of cases) {
    it(`golden logits of ${reference.name}`, async () => {
      const folder = tempFolder();
      await reference.write(folder);
      const { rows } = await logits({ model: folder, data: tokenFile(reference.prompts) });
      const tolerance = Math.max(2e-4, 10 * reference.perturbation);
      for (const [i, row] of rows.entries()) {
        const error = largestError(row, reference.logits64[i]!);
        assert.ok(error <= tolerance, `prompt ${i}: ${error} > ${tolerance}`);
      }
      assert.equal(rows.length, reference.prompts.length);
    });
  }
});

interface Example {
  readonly cases: readonly { text: string; ids: number[]; logits_last: number[] }[];
  readonly perplexity: Record<string, { windows: number; tokens_scored: number; perplexity: number }>;
}

describe('evaluate: the example model', () => {
  const golden = goldenJson<Example>('model/tiny-llama.json');

  for (const context of [128, 256, 512]) {
    it(`golden perplexity in windows of ${context}`, async function () {
      const known = golden?.perplexity[context];
      if (known === undefined || (context > 128 && !SLOW)) return this.skip();
      const { windows } = known;
      const found = await run({ model: EXAMPLE, data: EXCERPT, context, windows, threads: 2 });
      assert.equal(found.scored, known.tokens_scored);
      assert.equal(found.windows, windows);
      const error = Math.abs(found.perplexity / known.perplexity - 1);
      assert.ok(error < 1e-5, `${found.perplexity}, expected ${known.perplexity}`);
    });
  }

  it('golden logits after the last token of a prompt', async function () {
    if (golden === undefined) return this.skip();
    const { rows } = await logits({ model: EXAMPLE, data: tokenFile(golden.cases.map(({ ids }) => ids)) });
    for (const [i, { text, logits_last: last }] of golden.cases.entries()) {
      const error = largestError(rows[i]!.subarray(-last.length), last);
      assert.ok(error < 2e-4, `${text}: ${error}`);
    }
  });

  it('says what was run, and where', async () => {
    const found = await run({ model: EXAMPLE, data: EXCERPT, context: 32, windows: 2 });
    assert.equal(found.model, 'tiny-llama');
    assert.equal(found.tokens, 64);
    assert.match(found.engine, /^onnxruntime .* on cpu, 1 thread$/);
    assert.match(found.rows_sha256, /^[0-9a-f]{64}$/);
    assert.equal(found.logits, null);
    assert.ok(found.peak_memory_bytes > 1e7 && found.seconds > 0 && found.perplexity_error > 0);
    assert.equal(found.tokens_per_second, found.tokens / found.seconds);
    assert.match(found.notes.join('\n'), /only the first 2 rows/);
  });
});

describe('evaluate: windows', () => {
  const vocabulary = 80;
  const ids = (length: number, step = 7) => Array.from({ length }, (_, i) => (i * i * step + 3 * i) % vocabulary);
  let model: string;

  before(async () => {
    model = await writeModel(tinyLlama({ sigma: 0.3 }));
  });

  /** Mean of the negative log likelihoods of tokens [from, end) of each row, from its logits. */
  const meanNll = (data: readonly number[][], rows: readonly Float32Array[], from: (row: number) => number) => {
    const nlls = data.flatMap((row, i) =>
      row.slice(from(i)).map((target, k) => {
        const at = (from(i) + k - 1) * vocabulary;
        return nll(rows[i]!.subarray(at, at + vocabulary), target);
      }),
    );
    return { mean: nlls.reduce((a, b) => a + b, 0) / nlls.length, scored: nlls.length };
  };
  const close = (a: number, b: number, relative = 1e-6) =>
    assert.ok(Math.abs(a - b) <= relative * Math.abs(b), `${a}, expected ${b}`);

  it('rows of ids are windows of their own, whatever their lengths, and their first token is not scored', async () => {
    const data = [ids(5), ids(9, 3), ids(9, 5), ids(2), ids(30), ids(5, 11)];
    const { evaluation, rows } = await logits({ model, data: tokenFile(data) });
    assert.deepEqual(
      rows.map(row => row.length),
      data.map(row => row.length * vocabulary),
    );
    const { mean, scored } = meanNll(data, rows, () => 1);
    assert.equal(evaluation.scored, scored);
    assert.equal(evaluation.tokens, 60);
    close(evaluation.mean_nll, mean);
    close(evaluation.perplexity, Math.exp(mean));
  });

  it('a row has the same logits alone and among others', async () => {
    const data = [ids(9), ids(9, 3), ids(9, 5), ids(12)];
    const { rows } = await logits({ model, data: tokenFile(data) });
    for (const [i, row] of data.entries()) {
      const alone = await logits({ model, data: tokenFile([row]) });
      assert.ok(largestError(alone.rows[0]!, rows[i]!) < 1e-5);
    }
  });

  it('rows that are longer than the context are cut, with a note', async () => {
    const found = await run({ model, data: tokenFile([ids(20), ids(4)]), context: 8 });
    assert.equal(found.tokens, 12);
    assert.match(found.notes.join('\n'), /1 row of rows\.json is cut to 8 tokens: 12 are left out/);
  });

  it('figures do not depend on whether logits are written', async () => {
    const data = tokenFile([ids(17), ids(24)]);
    const plain = await run({ model, data });
    const { evaluation } = await logits({ model, data });
    assert.equal(plain.mean_nll, evaluation.mean_nll);
  });

  it('equal runs are equal to the last bit', async () => {
    const data = tokenFile([ids(17), ids(24)]);
    const [a, b] = [await logits({ model, data }), await logits({ model, data })];
    assert.deepEqual(a.rows, b.rows);
    assert.equal(a.evaluation.rows_sha256, b.evaluation.rows_sha256);
  });

  it('the reference engine says the same in double precision', async () => {
    const data = tokenFile([ids(17), ids(24)]);
    const exact = await logits({ model, data, engine: 'reference' });
    const found = await logits({ model, data });
    exact.rows.forEach((row, i) => assert.ok(largestError(found.rows[i]!, row) < 1e-4));
    assert.match(exact.evaluation.engine, /float64/);
  });

  it('shards are one model', async () => {
    const data = tokenFile([ids(17)]);
    const sharded = await writeModel(tinyLlama({ sigma: 0.3 }), { maxShardSize: 20_000 });
    assert.ok((await import('node:fs')).readdirSync(sharded).filter(name => /-of-/.test(name)).length > 3);
    assert.deepEqual((await logits({ model: sharded, data })).rows, (await logits({ model, data })).rows);
  });

  for (const dtype of ['BF16', 'F16', 'F32'] as const) {
    it(`${dtype} weights are run in float32`, async () => {
      const stored: TinyModel = tinyLlama({ dtype, sigma: 0.3 });
      const wide: TinyModel = {
        config: stored.config,
        tensors: Object.fromEntries(
          Object.entries(stored.tensors).map(([name, { shape, bytes, dtype: from }]) => [
            name,
            matrix(shape, widen(bytes, from), 'F32'),
          ]),
        ),
      };
      const data = tokenFile([ids(17)]);
      const found = await logits({ model: await writeModel(stored), data });
      assert.deepEqual(found.rows, (await logits({ model: await writeModel(wide), data })).rows);
      assert.ok(found.rows[0]!.some(x => x !== Math.fround(Math.round(x * 64) / 64)));
    });
  }

  describe('of a text', () => {
    const words = 'a history of the example of the text and of the words ';
    const text = words.repeat(30);

    it('are consecutive; the tokens at the end are left out with a note', async () => {
      const found = await run({ model: EXAMPLE, data: textFile('text.txt', text), context: 16 });
      assert.equal(found.tokens, found.windows * 16);
      assert.equal(found.scored, found.windows * 15);
      assert.match(found.notes.join('\n'), /tokens of text\.txt at the end of 1 document fill no window of 16/);
    });

    it('overlap by a stride, and each token is scored once', async () => {
      const data = textFile('text.txt', text);
      const whole = await run({ model: EXAMPLE, data, context: 32 });
      const strided = await run({ model: EXAMPLE, data, context: 32, stride: 8 });
      const tokens = 32 + 8 * (strided.windows - 1);
      assert.equal(strided.scored, tokens - 1);
      assert.ok(strided.windows > 3 * whole.windows);
      assert.ok(strided.perplexity < whole.perplexity, 'more context predicts better');
    });

    it('of a .jsonl begin anew with every document', async () => {
      const lines = [words, words.repeat(5), 'of the'].map(line => JSON.stringify({ text: line }));
      const found = await run({ model: EXAMPLE, data: textFile('text.jsonl', lines.join('\n')), context: 24 });
      const rows = found.tokens - found.scored;
      assert.equal(rows, found.windows);
      assert.ok(found.windows >= 4);
    });
  });

  describe('as llama-perplexity makes them', () => {
    const text = 'a history of the example of the text and of the words '.repeat(40);
    const llama = { protocol: 'llama', context: 32 } as const;

    it('second halves are scored', async () => {
      const data = textFile('text.txt', text);
      const path = join(tempFolder(), 'logits.safetensors');
      const found = await run({ model: EXAMPLE, data, ...llama, logits: path });
      assert.equal(found.protocol, 'llama');
      assert.equal(found.scored, found.windows * 15);
      // the example's tokenizer adds no BOS, so the windows are those of the other protocol
      const plain = await run({ model: EXAMPLE, data, context: 32 });
      assert.equal(plain.windows, found.windows);
      const rows = await readLogits(path);
      const { loadTokenizer } = await import('../../src/runtime/text/tokenizer.js');
      const tokens = (await loadTokenizer(EXAMPLE)).encode(text);
      let sum = 0;
      for (let w = 0; w < rows.length; w++) {
        for (let t = 17; t < 32; t++) {
          const before = rows[w]!.subarray((t - 1) * 4096, t * 4096);
          sum += nll(before, tokens[w * 32 + t]!);
        }
      }
      close(found.mean_nll, sum / found.scored);
    });

    it('golden: give what llama-perplexity printed of the same model in float32', async function () {
      interface Expected {
        format: { n_ctx: number; n_chunk: number };
        base: { from_file: { tokens_scored: number }; tool: { ppl: number; ppl_stderr: number } };
      }
      const expected = goldenJson<Expected>('gguf/logits/expected.json');
      const model = goldenFolder('gguf/model/tiny-llama');
      const bytes = goldenFile('gguf/model/eval.txt');
      if (expected === undefined || model === undefined || bytes === undefined) return this.skip();
      const { format, base } = expected;
      const data = textFile('eval.txt', bytes.toString('utf8'));
      const found = await run({ model, data, protocol: 'llama', context: format.n_ctx, windows: format.n_chunk });
      assert.equal(found.scored, base.from_file.tokens_scored);
      close(found.perplexity, base.tool.ppl, 1e-4);
      close(found.perplexity_error, base.tool.ppl_stderr, 1e-4);
    });

    it('give what llama-perplexity 0.7.0 printed of the example as a float32 GGUF', async () => {
      const found = await run({ model: EXAMPLE, data: EXCERPT, protocol: 'llama', context: 128, windows: 20 });
      close(found.perplexity, 52.3071, 1e-4);
      close(found.perplexity_error, 4.0819, 1e-4);
    });

    it('of a long text one window is enough', async () => {
      const found = await run({ model: EXAMPLE, data: textFile('text.txt', text), ...llama, windows: 1 });
      assert.deepEqual([found.windows, found.scored], [1, 15]);
    });

    it('need two windows of text', async () => {
      const short = textFile('text.txt', text.slice(0, 200));
      await assert.rejects(run({ model: EXAMPLE, data: short, ...llama, context: 40 }), {
        code: 'ARGUMENT',
        message: /needs two windows of 40 tokens/,
      });
    });

    it('are of a .txt, and have no stride', async () => {
      const data = textFile('text.txt', text);
      await assert.rejects(run({ model: EXAMPLE, data, ...llama, stride: 8 }), { message: /has no stride/ });
      await assert.rejects(run({ model: EXAMPLE, data: tokenFile([[1, 2]]), ...llama }), { message: /\.txt/ });
    });
  });
});

describe('evaluate: against a base', () => {
  const data = tokenFile([
    [1, 5, 9, 2, 7],
    [3, 3, 8, 1, 0],
  ]);

  it('a model has lost nothing to itself', async () => {
    const model = await writeModel(tinyLlama({ sigma: 0.3 }));
    const found = await run({ model, against: model, data });
    assert.ok('kl' in found);
    assert.deepEqual([found.kl.mean, found.kl.max, found.same_top1], [0, 0, 1]);
    assert.equal(found.base_perplexity, found.perplexity);
    assert.equal((await run({ model, data })).perplexity, found.perplexity);
  });

  it('figures are those of the logits of both', async () => {
    const [model, base] = [await writeModel(tinyLlama({ sigma: 0.31 })), await writeModel(tinyLlama({ sigma: 0.3 }))];
    const found = await run({ model, against: base, data });
    assert.ok('kl' in found);
    const [mine, theirs] = [await logits({ model, data }), await logits({ model: base, data })];
    const kls: number[] = [];
    let same = 0;
    for (const [i, row] of theirs.rows.entries()) {
      // the last token of a row predicts nothing that is there
      for (let at = 0; at < row.length - 80; at += 80) {
        const [a, b] = [row.subarray(at, at + 80), mine.rows[i]!.subarray(at, at + 80)];
        kls.push(a.reduce((sum, _, v) => sum + Math.exp(-nll(a, v)) * (nll(b, v) - nll(a, v)), 0));
        if (a.indexOf(Math.max(...a)) === b.indexOf(Math.max(...b))) same += 1;
      }
    }
    const mean = kls.reduce((x, y) => x + y, 0) / kls.length;
    assert.ok(mean > 0 && Math.abs(found.kl.mean - mean) < 1e-5 * mean, `${found.kl.mean}, expected ${mean}`);
    assert.ok(Math.abs(found.kl.max - Math.max(...kls)) < 1e-5);
    assert.equal(found.same_top1, same / kls.length);
    assert.equal(found.base_perplexity, theirs.evaluation.perplexity);
    assert.equal(found.perplexity, mine.evaluation.perplexity);
  });

  it('golden hidden states are compared behind every layer, but not where the residual stream is rotated', async function () {
    const [base, spin, quip] = ['tiny_source', 'checkpoints/spin', 'checkpoints/quip'].map(name =>
      goldenFolder(`compressed-tensors/${name}`),
    );
    if (base === undefined || spin === undefined || quip === undefined) return this.skip();
    const turned = await run({ model: spin, against: base, data });
    assert.equal(turned.layers, undefined);
    assert.ok(turned.notes.some(note => /residual stream of .* is rotated/.test(note)));
    // rotated back: what was compressed is the base
    assert.equal((await run({ model: base, against: spin, data })).layers, undefined);
    const { layers } = await run({ model: quip, against: base, data });
    assert.deepEqual(
      layers!.map(({ layer }) => layer),
      [-1, 0, 1],
    );
    assert.equal(layers![0]!.rel_mse, 0);
    assert.ok(layers!.slice(1).every(({ rel_mse, cosine }) => rel_mse > 0 && rel_mse < 0.1 && cosine > 0.9));
  });

  for (const [what, options] of [
    ['alone', {}],
    ['of a mixture', { mixture: true }],
    ['against a base', { against: true }],
  ] as const) {
    it(`tells how much is done ${what}: more and more, and all at the end`, async function () {
      let model = await writeModel(tinyLlama());
      if ('mixture' in options) {
        const reference = referenceCases().find(({ architecture }) => architecture === 'MixtralForCausalLM');
        if (reference === undefined) return this.skip();
        await reference.write((model = tempFolder()));
      }
      const shares: number[] = [];
      const onEvent = (event: EvaluateEvent) => {
        if (event.type === 'progress') shares.push(event.done / event.total);
      };
      await evaluate({
        model,
        data,
        onEvent,
        cacheDir: tempFolder(),
        ...('against' in options ? { against: model } : {}),
      });
      assert.deepEqual(
        shares,
        shares.toSorted((a, b) => a - b),
      );
      assert.ok(shares[0]! > 0 && Math.abs(shares.at(-1)! - 1) < 1e-5, shares.join());
    });
  }

  it('tells of a base whose tokenizer makes other tokens of the text', async () => {
    const other = join(tempFolder(), 'other');
    cpSync(EXAMPLE, other, { recursive: true });
    const options = { model: EXAMPLE, against: other, data: EXCERPT, context: 64, windows: 2 };
    const noted = async () => (await run(options)).notes.filter(note => note.includes('tokenizer'));
    assert.deepEqual(await noted(), []);
    const path = join(other, 'tokenizer.json');
    const tokenizer = JSON.parse(readFileSync(path, 'utf8')) as { model: { vocab: Record<string, number> } };
    const { vocab } = tokenizer.model;
    [vocab['e'], vocab['t']] = [vocab['t']!, vocab['e']!];
    const space = vocab['\u0120the']!;
    [vocab['\u0120the'], vocab['\u0120of']] = [vocab['\u0120of']!, space];
    writeFileSync(path, JSON.stringify(tokenizer));
    assert.deepEqual(await noted(), [
      'other has another tokenizer than tiny-llama: both are given the tokens of tiny-llama, so figures of the base are not its own',
    ]);
  });

  it('refuses models of two vocabularies', async () => {
    const [model, base] = [await writeModel(tinyLlama()), await writeModel(tinyLlama({ vocabulary: 96 }))];
    await assert.rejects(run({ model, against: base, data }), { code: 'MODEL', message: /80 tokens.*96/ });
  });
});

describe('evaluate', () => {
  it('works in a thread of its own, tells how far it is, and leaves this one free', async () => {
    const events: string[] = [];
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const found = await evaluate({
      model: EXAMPLE,
      data: EXCERPT,
      context: 64,
      windows: 8,
      onEvent: event => events.push(event.type),
    });
    clearInterval(timer);
    assert.equal(found.windows, 8);
    assert.equal(events[0], 'begin');
    assert.ok(events.filter(type => type === 'progress').length > 6);
    assert.ok(ticks > 10);
  });

  for (const [options, message] of [
    [{ context: 1 }, /context is 1, expected 2 at least/],
    [{ context: 2.5 }, /context is 2\.5/],
    [{ stride: 0 }, /stride is 0/],
    [{ windows: 0 }, /windows is 0/],
    [{ context: 16, stride: 17 }, /stride is 17, expected at most the context of 16/],
    [{ stride: 513 }, /stride is 513/],
  ] as const) {
    it(`refuses ${JSON.stringify(options)}`, () =>
      assert.rejects(evaluate({ model: EXAMPLE, data: EXCERPT, ...options }), { code: 'ARGUMENT', message }));
  }
});
