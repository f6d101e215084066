import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { textFile, tokenFile } from '../support/evaluation.js';
import { BIN, cli, ROOT } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';
import { matrix, tinyLlama, writeModel, type TinyModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');
const EXCERPT = join(ROOT, 'examples/data/wikitext2-test-excerpt.txt');
const QUICK = ['--data', EXCERPT, '--context', '32', '--windows', '2'];
const IDS = () => tokenFile([[1, 2, 3, 4, 5, 6, 7, 8]]);

/** A tiny model with some fields of its config.json changed. */
const withConfig = (config: Record<string, unknown>, options = {}) => {
  const model = tinyLlama(options);
  return writeModel({ ...model, config: { ...model.config, ...config } });
};

/** Fails with one sentence and a way out on stderr, and the same as one document on stdout. */
async function fails(args: readonly string[], exitCode: number, sentence: RegExp): Promise<string> {
  const result = await cli(['eval', ...args, '--json']);
  assert.equal(result.exitCode, exitCode, result.stderr);
  assert.match(result.stderr, sentence);
  const { ok, error } = JSON.parse(result.stdout) as { ok: boolean; error: { message: string; hint?: string } };
  assert.equal(ok, false);
  assert.doesNotMatch(error.message, /\n/);
  assert.doesNotMatch(result.stderr, /^\s+at |undefined|\[object/m);
  return error.hint ?? '';
}

describe('eval', () => {
  it('gives one JSON document with --json, and all else on stderr', async () => {
    const { exitCode, stdout, stderr } = await cli(['eval', EXAMPLE, ...QUICK, '--json']);
    assert.equal(exitCode, 0, stderr);
    const found = JSON.parse(stdout) as Record<string, unknown>;
    for (const key of ['perplexity', 'tokens', 'tokens_per_second', 'peak_memory_bytes']) {
      assert.equal(typeof found[key], 'number', key);
    }
    assert.equal(found['windows'], 2);
    assert.match(stderr, /2 windows, 64 tokens, onnxruntime/);
  });

  it('shows figures to people', async () => {
    const { exitCode, stdout } = await cli(['eval', EXAMPLE, ...QUICK]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^ {2}perplexity +\d+\.\d{4} ± \d+\.\d{4}$/m);
    assert.match(stdout, /^ {2}tokens scored +62 of 64$/m);
    assert.match(stdout, /only the first 2 rows of wikitext2-test-excerpt\.txt are used/);
  });

  it('says nothing on stderr with --quiet', async () => {
    const { exitCode, stdout, stderr } = await cli(['eval', EXAMPLE, ...QUICK, '--quiet', '--json']);
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' });
    assert.equal(typeof JSON.parse(stdout).perplexity, 'number');
  });

  it('writes logits where it is told to, with folders that are missing', async () => {
    const folder = tempFolder();
    const path = join(folder, 'a/b/logits.safetensors');
    const { exitCode, stdout } = await cli(['eval', EXAMPLE, ...QUICK, '--logits', path, '--json']);
    assert.equal(exitCode, 0);
    assert.equal(JSON.parse(stdout).logits, path);
    assert.deepEqual(readdirSync(join(folder, 'a/b')), ['logits.safetensors']);
    const { stdout: inspected } = await cli(['inspect', path, '--json']);
    assert.deepEqual(
      JSON.parse(inspected).tensors.map(({ name, dtype, shape }: Record<string, unknown>) => [name, dtype, shape]),
      [0, 1].map(i => [`row${i}`, 'F32', [32, 4096]]),
    );
  });

  for (const [engine, found] of [
    ['onnx', /^onnxruntime/],
    ['tfjs', /^tfjs/],
    ['reference', /float64/],
  ] as const) {
    it(`runs on ${engine}, and warns of nothing`, async () => {
      const args = ['eval', await writeModel(tinyLlama()), '--data', IDS(), '--engine', engine, '--device', 'cpu'];
      const { exitCode, stdout, stderr } = await cli([...args, '--json']);
      assert.equal(exitCode, 0, stderr);
      assert.match(JSON.parse(stdout).engine, found);
      assert.doesNotMatch(stderr, /warn|error|deprecat|install|============/i);
    });
  }

  it('wants a text', () => fails([EXAMPLE], 2, /eval needs a text, or token ids\n +add --data FILE/));

  it('wants numbers that make sense', async () => {
    for (const [args, sentence] of [
      [['--context', '1'], /context is 1, expected 2 at least/],
      [['--windows', '0'], /windows is 0/],
      [['--context', '64', '--stride', '65'], /stride is 65, expected at most the context of 64/],
      [['--context', 'many'], /--context <n>.*'many' is invalid/],
      [['--context', '-5'], /--context/],
      [['--protocol', 'mine'], /--protocol/],
      [['--protocol', 'llama', '--stride', '8'], /the llama protocol has no stride/],
    ] as const) {
      const { exitCode, stdout, stderr } = await cli(['eval', EXAMPLE, '--data', EXCERPT, ...args, '--json']);
      assert.equal(exitCode, 2, args.join(' '));
      assert.match(stderr, sentence);
      assert.equal(JSON.parse(stdout).ok, false);
    }
  }).timeout(120_000);

  describe('of a model that cannot be run', () => {
    it('names a folder that is not there', () => fails(['./nowhere', '--data', IDS()], 2, /no model folder .*nowhere/));

    it('names an architecture', async () => {
      const model = await withConfig({ architectures: ['NovelForCausalLM'], model_type: 'novel' });
      const hint = await fails([model, '--data', IDS()], 2, /NovelForCausalLM cannot be run/);
      assert.match(hint, /LlamaForCausalLM/);
    });

    it('names a field that changes the mathematics', async () => {
      await fails([await withConfig({ attention_chunk_size: 4 }), '--data', IDS()], 2, /attention_chunk_size 4/);
      await fails([await withConfig({ hidden_act: 'mish' }), '--data', IDS()], 2, /hidden_act.*mish/);
    });

    it('names another method of quantization', async () => {
      const model = await withConfig({ quantization_config: { quant_method: 'gptq', bits: 4 } });
      await fails([model, '--data', IDS()], 2, /quant_method gptq/);
    });

    for (const tensor of [
      'model.embed_tokens.weight',
      'model.layers.1.mlp.down_proj.weight',
      'model.norm.weight',
      'lm_head.weight',
    ]) {
      it(`names ${tensor} when it holds NaN`, async () => {
        const model: TinyModel = tinyLlama();
        const { shape } = model.tensors[tensor]!;
        const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5);
        // in the second row, whose token occurs
        values[values.length > 64 ? 64 + 3 : 3] = NaN;
        const tensors = { ...model.tensors, [tensor]: matrix(shape, values) };
        const folder = await writeModel({ ...model, tensors });
        await fails([folder, '--data', IDS()], 1, new RegExp(`${tensor.replaceAll('.', '\\.')} holds NaN`));
      });
    }

    it('says so when logits are not finite', async () => {
      const model = tinyLlama({ dtype: 'F32' });
      const tensors = {
        ...model.tensors,
        'model.norm.weight': matrix([64], new Float32Array(64).fill(1e3), 'F32'),
        'lm_head.weight': matrix([80, 64], new Float32Array(80 * 64).fill(3e38), 'F32'),
      };
      await fails([await writeModel({ ...model, tensors }), '--data', IDS()], 1, /logits that are not finite/);
    });

    it('names a tensor that is missing', async () => {
      const model = tinyLlama();
      const tensors = { ...model.tensors };
      delete tensors['model.layers.0.mlp.up_proj.weight'];
      const { exitCode, stderr } = await cli(['eval', await writeModel({ ...model, tensors }), '--data', IDS()]);
      assert.ok(exitCode === 1 || exitCode === 2);
      assert.match(stderr, /model\.layers\.0\.mlp\.up_proj\.weight/);
    });
  });

  describe('of a text that cannot be used', () => {
    const text = 'a history of the example';

    it('names a file that is not there', () =>
      fails([EXAMPLE, '--data', './nowhere.txt'], 2, /nowhere\.txt does not exist/));
    it('says that it is empty', () => fails([EXAMPLE, '--data', textFile('empty.txt', '')], 2, /empty\.txt is empty/));
    it('says that it is white space', () =>
      fails([EXAMPLE, '--data', textFile('blank.jsonl', ' \n\n')], 2, /blank\.jsonl holds no tokens to run/));
    it('says that it is shorter than the context', () =>
      fails(
        [EXAMPLE, '--data', textFile('short.txt', text)],
        2,
        /short\.txt has \d+ tokens, fewer than one window of 512/,
      ));
    it('says that a token is outside of the vocabulary', () =>
      fails([EXAMPLE, '--data', tokenFile([[1, 4096]])], 2, /row 0 of rows\.json holds 4096 at position 1/));
    it('says that the model has no tokenizer', async () =>
      fails(
        [await writeModel(tinyLlama()), '--data', textFile('a.txt', text)],
        2,
        /no tokenizer\.json and no tokenizer/,
      ));

    it('says that the tokenizer does not fit the vocabulary', async () => {
      const model = await writeModel(tinyLlama());
      for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
        copyFileSync(join(EXAMPLE, name), join(model, name));
      }
      await fails(
        [model, '--data', textFile('a.txt', text)],
        2,
        /ids up to 4095, but the model's vocabulary has 80 tokens/,
      );
    });
  });

  describe('of logits that cannot be written', () => {
    it('says so before the work', async () => {
      const file = textFile('file.txt', '');
      const hint = await fails([EXAMPLE, ...QUICK, '--logits', join(file, 'x.safetensors')], 1, /cannot be written/);
      assert.notEqual(hint, '');
    });

    it('says that a folder is in the way, and leaves nothing beside it', async () => {
      const parent = tempFolder();
      mkdirSync(join(parent, 'out'));
      await fails([EXAMPLE, ...QUICK, '--logits', join(parent, 'out')], 1, /out is a folder/);
      assert.deepEqual(readdirSync(parent), ['out']);
    });

    it('leaves what was there as it was when the work fails', async () => {
      const path = join(tempFolder(), 'logits.safetensors');
      writeFileSync(path, 'mine');
      const model = tinyLlama();
      const values = new Float32Array(64).fill(NaN);
      const tensors = { ...model.tensors, 'model.norm.weight': matrix([64], values) };
      await fails([await writeModel({ ...model, tensors }), '--data', IDS(), '--logits', path], 1, /holds NaN/);
      assert.deepEqual(readdirSync(join(path, '..')), [basename(path)]);
    });
  });

  it('ends with 130 when it is stopped, and leaves nothing half written', async () => {
    const folder = tempFolder();
    const path = join(folder, 'logits.safetensors');
    const temporary = tempFolder();
    const args = ['eval', EXAMPLE, '--data', EXCERPT, '--context', '128', '--logits', path];
    const child = spawn(process.execPath, [BIN, ...args], {
      env: { ...process.env, TMPDIR: temporary, XDG_CACHE_HOME: temporary },
    });
    let stderr = '';
    let partial = false;
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (!/layers\.0/.test(stderr) || child.killed) return;
      partial = existsSync(`${path}.partial`);
      child.kill('SIGINT');
    });
    const code = await new Promise(done => child.on('close', done));
    assert.equal(code, 130, stderr);
    assert.ok(partial, 'the file was under way');
    assert.match(stderr, /stopped; nothing was written/);
    assert.deepEqual([readdirSync(folder), readdirSync(temporary)], [[], []]);
  });
});
