import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { comparisonIntervals } from '../../src/evaluation/bootstrap.js';
import { nllsOf, scoresOf } from '../../src/evaluation/llama.js';
import { perplexityOf } from '../../src/evaluation/next-token.js';
import { comparisonOf } from '../../src/evaluation/scores.js';
import { quantile } from '../../src/evaluation/statistics.js';
import { openLogits, type LogitsFile } from '../../src/formats/logits-file.js';
import { refused } from '../formats/refused.js';
import { goldenFile, goldenJson, goldenPath } from '../support/golden.js';
import { tempFolder } from '../support/temp.js';

interface FromFile {
  tokens_scored: number;
  mean_nll: number;
  ppl: number;
  ppl_stderr: number;
  ppl_after_each_chunk: number[];
}

interface Judged {
  file: string;
  from_file: FromFile;
  tool: { ppl: number; ppl_stderr: number; ppl_after_each_chunk: number[] };
}

interface Compared extends Judged {
  kld_from_files: Record<
    'mean' | 'stderr' | 'median' | 'p90' | 'p95' | 'p99' | 'max' | 'min' | 'same_top_percent' | 'rms_dp_percent',
    number
  >;
  kld_tool: Record<
    'mean' | 'median' | 'p90' | 'p95' | 'p99' | 'max' | 'same_top_percent' | 'rms_dp_percent' | 'ln_ratio',
    number[]
  >;
}

interface Expected {
  format: { rows_per_chunk: number };
  base: Judged & { first_row: { logprob_of_first_8_tokens: number[]; sum_of_probabilities: number; argmax: number } };
  quantized: Record<string, Compared>;
}

const expected = goldenJson<Expected>('gguf/logits/expected.json');

async function open(file: string): Promise<LogitsFile> {
  const path = goldenPath(`gguf/logits/${file}`)!;
  if (!path.endsWith('.gz')) return await openLogits(path);
  const copy = join(tempFolder(), file);
  writeFileSync(copy, goldenFile(`gguf/logits/${file}`)!);
  return await openLogits(copy);
}

function near(actual: number, wanted: number, what: string, { relative = 0, absolute = 0 }): void {
  const off = Math.abs(actual - wanted);
  assert.ok(off <= absolute + relative * Math.abs(wanted), `${what}: ${actual}, expected ${wanted}`);
}

describe('files of logits, golden', () => {
  if (expected === undefined) {
    it('golden gguf/logits is absent', function () {
      this.skip();
    });
    return;
  }
  const exact = { relative: 1e-9 };
  const rows = expected.format.rows_per_chunk;

  for (const [name, { file, from_file, tool }] of Object.entries({ base: expected.base, ...expected.quantized })) {
    it(`golden perplexity of ${name}`, async () => {
      const nlls = await nllsOf(await open(file));
      const { perplexity, perplexity_error, mean_nll, scored } = perplexityOf(nlls);
      assert.equal(scored, from_file.tokens_scored);
      near(mean_nll, from_file.mean_nll, 'mean nll', exact);
      near(perplexity, from_file.ppl, 'perplexity', exact);
      near(perplexity_error, from_file.ppl_stderr, 'its error', exact);
      near(perplexity, tool.ppl, 'perplexity printed', { relative: 5e-5 });
      near(perplexity_error, tool.ppl_stderr, 'its error printed', { relative: 5e-5 });
      from_file.ppl_after_each_chunk.forEach((wanted, chunk) => {
        const after = perplexityOf(nlls.subarray(0, rows * (chunk + 1))).perplexity;
        near(after, wanted, `after chunk ${chunk}`, exact);
        near(after, tool.ppl_after_each_chunk[chunk]!, `after chunk ${chunk}, printed`, { relative: 5e-5 });
      });
    });
  }

  it('golden first row of the base', async () => {
    const { logprob_of_first_8_tokens, sum_of_probabilities, argmax } = expected.base.first_row;
    const { value: row } = await (await open(expected.base.file)).rows().next();
    assert.deepEqual([...row!.subarray(0, 8)], logprob_of_first_8_tokens);
    near(
      row!.reduce((sum, x) => sum + Math.exp(x), 0),
      sum_of_probabilities,
      'sum of probabilities',
      exact,
    );
    assert.equal(row!.indexOf(Math.max(...row!)), argmax);
  });

  for (const [name, { file, kld_from_files: wanted, kld_tool: printed }] of Object.entries(expected.quantized)) {
    it(`golden comparison of base and ${name}`, async () => {
      const scores = await scoresOf(await open(expected.base.file), await open(file));
      const { kl, same_top1, rms_delta_p, ln_ratio, ln_ratio_error, logit_rms } = comparisonOf(scores);
      const { mean, error, ...spread } = kl;
      near(mean, wanted.mean, 'mean', exact);
      near(error, wanted.stderr, 'error', exact);
      for (const quantity of ['median', 'p90', 'p95', 'p99', 'max'] as const) {
        near(spread[quantity], wanted[quantity], quantity, exact);
        near(spread[quantity], printed[quantity][0]!, `${quantity} printed`, { absolute: 1e-4 });
      }
      near(quantile(scores.kl.slice().sort(), 0), wanted.min, 'min', exact);
      near(same_top1 * 100, wanted.same_top_percent, 'same top', exact);
      near(rms_delta_p * 100, wanted.rms_dp_percent, 'rms dp', exact);
      near(mean, printed.mean[0]!, 'mean printed', { absolute: 1e-5 });
      near(error, printed.mean[1]!, 'error printed', { absolute: 1e-5 });
      near(ln_ratio, printed.ln_ratio[0]!, 'ln ratio printed', { absolute: 1e-4 });
      near(ln_ratio_error, printed.ln_ratio[1]!, 'its error printed', { absolute: 1e-4 });
      assert.equal(logit_rms, null);
      const intervals = comparisonIntervals(scores, Array<number>(scores.kl.length / rows).fill(rows))!;
      assert.ok(intervals.kl_mean.low < mean && mean < intervals.kl_mean.high);
    });
  }

  it('golden base against itself', async () => {
    const { kl, same_top1, ln_ratio } = comparisonOf(
      await scoresOf(await open(expected.base.file), await open(expected.base.file)),
    );
    assert.deepEqual([kl.mean, kl.max, same_top1, ln_ratio], [0, 0, 1, 0]);
  });

  it('golden base against files about something else', async () => {
    const base = await open(expected.base.file);
    const chunks = await refused(() => scoresOf(base, { ...base, chunks: 2 }));
    assert.equal(chunks.message, 'there are 6 in base.logits and 2 in base.logits chunks');
    const vocabulary = await refused(() => scoresOf(base, { ...base, vocabulary: 7 }));
    assert.match(vocabulary.message, /^the vocabulary is 512 in base\.logits and 7 in base\.logits$/);
    const tokens = base.tokens.slice();
    tokens[40] = tokens[40] === 0 ? 1 : 0;
    const other = await refused(() => scoresOf(base, { ...base, file: 'other.logits', tokens }));
    assert.equal(other.message, 'base.logits and other.logits hold different texts from token 40 on');
    assert.equal(other.code, 'ARGUMENT');
  });
});
