import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TensorpressError, type ErrorCode } from '../../../src/errors.js';
import { runSession } from '../../../src/run/session.js';
import { narrow } from '../../../src/numerics/dtypes.js';
import { cli } from '../../support/run-cli.js';
import { assertUnfinished } from '../../support/run-folder.js';
import { tempFolder } from '../../support/temp.js';
import { tinyLlama, writeModel, type TinyModel } from '../../support/tiny-model.js';

const GPTQ =
  'GPTQModifier: {config_groups: {g: {targets: [Linear], weights: {num_bits: 4, group_size: 16}}}, ignore: [lm_head]}';
const CACHE = 'QuantizationModifier: {kv_cache_scheme: {num_bits: 8, type: float, strategy: attn_head}}';
const INPUTS = 'QuantizationModifier: {scheme: FP8, targets: [Linear], ignore: [lm_head]}';

const llama = (): TinyModel => tinyLlama({ hidden: 32, intermediate: 32, sigma: 0.3 });

/** The model with a tensor changed. */
function changed(tensor: string, change: (w: Uint8Array) => void): TinyModel {
  const { config, tensors } = llama();
  const { bytes, ...rest } = tensors[tensor]!;
  const copy = bytes.slice();
  change(copy);
  return { config, tensors: { ...tensors, [tensor]: { ...rest, bytes: copy } } };
}

const NAN = narrow(Float32Array.of(NaN), 'BF16');
const nan = (tensor: string) => changed(tensor, w => w.set(NAN, 2 * 7));

interface Case {
  readonly model?: TinyModel;
  readonly modifier?: string;
  /** Token ids; null: there is no such file. */
  readonly rows?: readonly (readonly number[])[] | null;
  /** Whether the recipe names any. Default: true. */
  readonly calibration?: boolean;
  readonly code: ErrorCode;
  readonly exit: 1 | 2;
  readonly sentence: RegExp;
}

const LAYER = 'model.layers.1';

/** Every element of a bfloat16 tensor. */
const huge = (value: number) => (weight: Uint8Array) => {
  const bytes = narrow(Float32Array.of(value), 'BF16');
  for (let at = 0; at < weight.length; at += 2) weight.set(bytes, at);
};

const CASES: Record<string, Case> = {
  'a token outside of the vocabulary': {
    rows: [[1, 2, 80]],
    ...{ code: 'ARGUMENT', exit: 2 },
    sentence: /^row 0 of tokens\.json holds 80 at position 2, which is no token id below 80$/,
  },
  'no row': { rows: [], code: 'ARGUMENT', exit: 2, sentence: /^tokens\.json holds no tokens to run$/ },
  'rows without a token': { rows: [[]], code: 'ARGUMENT', exit: 2, sentence: /^tokens\.json holds no tokens to run$/ },
  'no file of that name': {
    rows: null,
    ...{ code: 'PLAN', exit: 2 },
    sentence: /^calibration\.dataset: there is no file \S+tokens\.json$/,
  },
  'no calibration data': {
    calibration: false,
    ...{ code: 'PLAN', exit: 2 },
    sentence: /\(14 modules\): calibration data are needed$/,
  },
  'a model that cannot be run': {
    model: { ...llama(), config: { ...llama().config, architectures: ['NovelForCausalLM'], model_type: 'novel' } },
    ...{ code: 'PLAN', exit: 2 },
    sentence: /^calibration is needed, and models of architecture NovelForCausalLM cannot be run$/,
  },
  'a weight that is not a number': {
    model: nan(`${LAYER}.mlp.down_proj.weight`),
    ...{ code: 'TENSOR', exit: 1 },
    sentence: new RegExp(`^${LAYER}\\.mlp\\.down_proj\\.weight is not finite at \\[0, 7\\]$`),
  },
  'a norm that is not a number': {
    model: nan(`${LAYER}.input_layernorm.weight`),
    ...{ code: 'TENSOR', exit: 1 },
    sentence: new RegExp(`^${LAYER}\\.input_layernorm\\.weight holds NaN, so the model cannot be run$`),
  },
  'an embedding that is infinite where it is read': {
    model: changed('model.embed_tokens.weight', w => w.set(narrow(Float32Array.of(Infinity), 'BF16'), 2 * 32 * 5)),
    ...{ code: 'TENSOR', exit: 1 },
    sentence: /^model\.embed_tokens\.weight holds Infinity, so the model cannot be run$/,
  },
  'a head of keys that is always 0': {
    model: changed(`${LAYER}.self_attn.k_proj.weight`, w => w.fill(0, 0, 2 * 8 * 32)),
    modifier: CACHE,
    ...{ code: 'TENSOR', exit: 1 },
    sentence: new RegExp(`^${LAYER}\\.self_attn\\.k is 0 for every token in head 0, so it has no scale$`),
  },
  'an input that is always 0': {
    model: changed(`${LAYER}.input_layernorm.weight`, w => w.fill(0)),
    modifier: INPUTS,
    ...{ code: 'TENSOR', exit: 1 },
    sentence: new RegExp(`^${LAYER}\\.self_attn\\.q_proj\\.input is 0 for every token, so it has no scale$`),
  },
  'values that grow beyond float32': {
    model: changed('model.layers.0.mlp.up_proj.weight', huge(1e38)),
    modifier: GPTQ,
    ...{ code: 'TENSOR', exit: 1 },
    sentence: /^model\.layers\.0\.mlp\.down_proj\.input: it holds NaN or infinity$/,
  },
  'errors of codes that grow beyond float32': {
    model: changed('model.layers.0.mlp.up_proj.weight', huge(3e38)),
    modifier: GPTQ,
    ...{ code: 'TENSOR', exit: 1 },
    sentence: /^model\.layers\.0\.mlp\.up_proj: the errors that GPTQ passes on grow beyond float32$/,
  },
};

async function files({ model = llama(), modifier = GPTQ, rows = [[1, 2, 3, 5, 7]], calibration = true }: Case) {
  const folder = tempFolder();
  const recipe = join(folder, 'recipe.yaml');
  const data = calibration ? 'calibration: {dataset: ./tokens.json}\n' : '';
  writeFileSync(recipe, `version: 1\nmodifiers:\n  - ${modifier}\n${data}`);
  if (rows !== null) writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ input_ids: rows }));
  return { recipe, model: await writeModel(model), out: join(folder, 'out') };
}

describe('a calibrated run that cannot be carried out', () => {
  for (const [name, given] of Object.entries(CASES)) {
    it(`is refused in a sentence, and nothing looks finished: ${name}`, async () => {
      const { recipe, model, out } = await files(given);
      // float32, as users have it
      const work = runSession({ recipe, model, out, threads: 0, engine: 'onnx', device: 'cpu' });
      const error: unknown = await work.then(
        () => assert.fail('it was carried out'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof TensorpressError, String((error as Error).stack));
      const { message, diagnostics, code, exitCode, hint } = error;
      const [finding] = diagnostics;
      assert.deepEqual([code, exitCode], [given.code, given.exit], message);
      assert.match(finding?.message ?? message, given.sentence);
      assert.ok(!message.includes('\n') && (finding?.hint ?? hint ?? 'none') !== 'none', 'a sentence and a way out');
      // what has no finished part leaves no trace
      if (given.exit === 2) assert.ok(!existsSync(out));
      assertUnfinished(out);
    });
  }

  it('exits with 2 where the data are wrong, with 1 where the model is', async () => {
    for (const name of ['a token outside of the vocabulary', 'a head of keys that is always 0']) {
      const given = CASES[name]!;
      const { recipe, model, out } = await files(given);
      const { exitCode, stdout, stderr } = await cli(['apply', recipe, '--model', model, '--out', out, '--quiet']);
      const [sentence, hint, ...rest] = stderr.split('\n');
      assert.deepEqual([exitCode, stdout, rest], [given.exit, '', []], stderr);
      assert.match(sentence!.replace(/^\S+: (?=row)/, ''), given.sentence);
      assert.match(hint!, /^ {2}\w/);
      assertUnfinished(out);
    }
  });
});
