import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorpressError } from '../../src/errors.js';
import { plan } from '../../src/run/prepare.js';
import { runSession } from '../../src/run/session.js';
import { assertSameCheckpoint } from '../support/checkpoint.js';
import { decodeCheckpoint, readAll } from '../support/decode.js';
import { tempFolder } from '../support/temp.js';
import { matrix, random, tinyLlama, without, writeModel, writeRecipe, type TinyModel } from '../support/tiny-model.js';

async function apply(model: TinyModel | string, ...options: string[]) {
  const folder = typeof model === 'string' ? model : await writeModel(model);
  const out = join(tempFolder(), 'out');
  const { report } = await runSession({ threads: 0, recipe: writeRecipe(...options), model: folder, out });
  return { out, report, model: folder };
}

const configOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
const names = (folder: string, match: RegExp) => [...readAll(folder).keys()].filter(name => match.test(name)).sort();

const int4 = 'weights: {num_bits: 4, group_size: 32}';
const noHead = ', ignore: [lm_head]';

/** A mixture of experts of a family that no table knows. */
function mixture(): TinyModel {
  const tensors = without(tinyLlama({ layers: 2 }).tensors, /mlp/);
  for (const layer of [0, 1]) {
    const at = `model.layers.${layer}.mlp`;
    tensors[`${at}.gate.weight`] = random([4, 64], 50 + layer);
    for (let e = 0; e < 4; e++) {
      tensors[`${at}.experts.${e}.gate_proj.weight`] = random([32, 64], 60 + e);
      tensors[`${at}.experts.${e}.up_proj.weight`] = random([32, 64], 70 + e);
      tensors[`${at}.experts.${e}.down_proj.weight`] = random([64, 32], 80 + e);
    }
  }
  return { config: { architectures: ['NovelMoeForCausalLM'], model_type: 'novel_moe', num_hidden_layers: 2 }, tensors };
}

describe('a checkpoint holds what the plan says', () => {
  const cases: [name: string, model: TinyModel, set: string[], options: string[]][] = [
    ['int4 in groups', tinyLlama(), [], [`{config_groups: {g: {targets: [Linear], ${int4}}}${noHead}}`]],
    [
      'int3, asymmetric, from float16',
      tinyLlama({ dtype: 'F16' }),
      [],
      ['{config_groups: {g: {targets: [Linear], weights: {num_bits: 3, strategy: channel, symmetric: false}}}}'],
    ],
    ['NVFP4 from float32', tinyLlama({ dtype: 'F32' }), [], [`{scheme: NVFP4A16${noHead}}`]],
    [
      'several schemes in shards',
      tinyLlama(),
      ['outputs=[{format: compressed-tensors, max_shard_size: 20KB}]'],
      ['{scheme: {MXFP4: ["re:.*mlp.*"], W8A8: ["re:.*self_attn.*"]}}'],
    ],
    [
      'two modifiers',
      tinyLlama(),
      [],
      ['{scheme: FP8_DYNAMIC, targets: ["re:.*mlp.*"]}', '{scheme: NVFP4A16, targets: ["re:.*self_attn.*"]}'],
    ],
    [
      'a mixture of experts of an unknown family',
      mixture(),
      [],
      ['{scheme: W8A8, ignore: [lm_head, "re:.*mlp.gate$"]}'],
    ],
    [
      'tied embeddings, joined',
      tinyLlama({ tied: 'absent' }),
      [],
      ['{scheme: FP8_DYNAMIC, targets: [Linear, Embedding]}'],
    ],
    ['tied embeddings, parted', tinyLlama({ tied: 'absent' }), [], ['{scheme: FP8_DYNAMIC, targets: [Linear]}']],
    [
      'tied embeddings, of which the file holds two',
      tinyLlama({ tied: 'equal' }),
      [],
      [`{scheme: FP8_DYNAMIC${noHead}}`],
    ],
    ['nothing quantized', tinyLlama(), [], ['{scheme: UNQUANTIZED}']],
  ];
  for (const [name, tiny, set, options] of cases) {
    it(name, async () => {
      const model = await writeModel(tiny, { maxShardSize: 50_000 });
      const out = join(tempFolder(), 'out');
      const recipe = writeRecipe(...options);
      const summary = await plan({ recipe, model, set, out });
      assert.ok(!existsSync(out), 'a plan writes nothing');
      const { report } = await runSession({ threads: 0, recipe, model, set, out });

      const [output] = summary.outputs;
      assert.deepEqual(
        readdirSync(out)
          .filter(file => file.startsWith('model'))
          .sort(),
        output!.files.map(file => file.name).sort(),
      );
      for (const { name: file, bytes } of output!.files) assert.equal(statSync(join(out, file)).size, bytes, file);
      const stored = readAll(out);
      const sum = (match: (tensor: string) => boolean) =>
        [...stored].reduce((total, [tensor, { bytes }]) => total + (match(tensor) ? bytes.length : 0), 0);
      assert.equal(
        summary.size.after,
        sum(() => true),
      );
      for (const { module, bytes, format, stored_with } of summary.modules) {
        const own = (tensor: string) => tensor.startsWith(`${module}.weight`);
        assert.equal(bytes.after, sum(own), module);
        if (stored_with !== undefined) continue;
        const packed = stored.has(`${module}.weight_scale`);
        assert.equal(packed, format !== 'dense', module);
      }
      assert.equal(report.size.after, summary.size.after);
      const { modules: _modules, ...planned } = summary;
      assert.deepEqual({ ...report.plan, estimate: null }, JSON.parse(JSON.stringify({ ...planned, estimate: null })));
    });
  }

  it('and every untouched tensor as it was', async () => {
    const { out, model } = await apply(mixture(), '{scheme: W8A8, ignore: [lm_head, "re:.*mlp.gate$"]}');
    const [before, after] = [readAll(model), readAll(out)];
    const kept = [...before.keys()].filter(
      name => after.get(name)?.dtype === 'BF16' && /norm|gate\.weight|embed|lm_head/.test(name),
    );
    assert.equal(kept.length, 2 * 3 + 1 + 1 + 1);
    for (const name of kept) assert.ok(before.get(name)!.bytes.equals(after.get(name)!.bytes), name);
  });
});

describe('tied embeddings', () => {
  /** The same weights as two tensors: what either side becomes there, it has to become where they are tied. */
  async function untied(...options: string[]) {
    const { config, tensors } = tinyLlama({ layers: 1, tied: 'equal' });
    return readAll((await apply({ config: { ...config, tie_word_embeddings: false }, tensors }, ...options)).out);
  }

  const cases: [name: string, options: string[], flag: boolean, tensors: RegExp, stored: string[]][] = [
    ['neither side', [`{scheme: FP8_DYNAMIC${noHead}}`], true, /embed|lm_head/, ['model.embed_tokens.weight']],
    [
      'the head',
      ['{scheme: FP8_DYNAMIC}'],
      false,
      /embed|lm_head/,
      ['lm_head.weight', 'lm_head.weight_scale', 'model.embed_tokens.weight'],
    ],
    [
      'the embedding',
      [`{scheme: FP8_DYNAMIC, targets: [Linear, Embedding]${noHead}}`],
      false,
      /embed|lm_head/,
      ['lm_head.weight', 'model.embed_tokens.weight', 'model.embed_tokens.weight_scale'],
    ],
    [
      'both alike',
      ['{scheme: FP8_DYNAMIC, targets: [Linear, Embedding]}'],
      true,
      /embed|lm_head/,
      ['model.embed_tokens.weight', 'model.embed_tokens.weight_scale'],
    ],
    [
      'both, differently',
      ['{scheme: {FP8_DYNAMIC: [Linear], INT8: [Embedding]}}'],
      false,
      /embed|lm_head/,
      ['lm_head.weight', 'lm_head.weight_scale', 'model.embed_tokens.weight', 'model.embed_tokens.weight_scale'],
    ],
  ];
  for (const [name, options, flag, match, stored] of cases) {
    it(`with codes for ${name}`, async () => {
      const expected = await untied(...options);
      for (const tied of ['absent', 'equal'] as const) {
        const { out } = await apply(tinyLlama({ layers: 1, tied }), ...options);
        assert.deepEqual(names(out, match), stored);
        assert.equal(configOf(out)['tie_word_embeddings'], flag);
        for (const [tensor, { dtype, bytes }] of readAll(out)) {
          assert.equal(dtype, expected.get(tensor)!.dtype, tensor);
          assert.ok(bytes.equals(expected.get(tensor)!.bytes), tensor);
        }
      }
    });
  }

  it('that config.json asserts of two different tensors are parted in config.json too', async () => {
    const { out } = await apply(tinyLlama({ layers: 1, tied: 'different' }), `{scheme: FP8_DYNAMIC${noHead}}`);
    assert.equal(configOf(out)['tie_word_embeddings'], false);
    assert.deepEqual(names(out, /embed|lm_head/), ['lm_head.weight', 'model.embed_tokens.weight']);
  });

  it('that are the default of the family are told when they end, and only then', async () => {
    const gemma = (tied: 'absent' | 'different') => {
      const { config, tensors } = tinyLlama({ layers: 1, tied });
      const { tie_word_embeddings: _, ...rest } = config;
      return { config: { ...rest, architectures: ['GemmaForCausalLM'], model_type: 'gemma' }, tensors };
    };
    const stay = await apply(gemma('absent'), `{scheme: FP8_DYNAMIC${noHead}}`);
    assert.equal(configOf(stay.out)['tie_word_embeddings'], undefined);
    const parted = await apply(gemma('absent'), '{scheme: FP8_DYNAMIC}');
    assert.equal(configOf(parted.out)['tie_word_embeddings'], false);
    const differ = await apply(gemma('different'), `{scheme: FP8_DYNAMIC${noHead}}`);
    assert.equal(configOf(differ.out)['tie_word_embeddings'], false);
  });

  it('are told where a model with more than text tells them', async () => {
    const { config, tensors } = tinyLlama({ layers: 1, tied: 'absent' });
    const nested = { ...config, text_config: { ...config } };
    const { out } = await apply({ config: nested, tensors }, '{scheme: FP8_DYNAMIC}');
    const written = configOf(out);
    assert.equal(written['tie_word_embeddings'], false);
    assert.equal((written['text_config'] as Record<string, unknown>)['tie_word_embeddings'], false);
  });
});

describe('config.json of a checkpoint', () => {
  it('is that of the source with the quantization, keys sorted', async () => {
    const { out, model } = await apply(tinyLlama({ layers: 1 }), `{scheme: FP8_DYNAMIC${noHead}}`);
    const text = readFileSync(join(out, 'config.json'), 'utf8');
    const { quantization_config: quantization, ...rest } = configOf(out);
    assert.deepEqual(rest, configOf(model));
    const sorted = (value: unknown): unknown =>
      value !== null && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([k, v]) => [k, sorted(v)]),
          )
        : value;
    assert.equal(text, JSON.stringify(sorted(JSON.parse(text)), null, 2));
    const { config_groups: groups, ignore, format } = quantization as Record<string, unknown>;
    assert.deepEqual(Object.keys(groups as object), ['group_0']);
    assert.deepEqual([ignore, format], [['lm_head'], 'float-quantized']);
  });

  it('names no quantization where there is none', async () => {
    const { out, model } = await apply(tinyLlama({ layers: 1 }), '{scheme: UNQUANTIZED}');
    assert.deepEqual(configOf(out), configOf(model));
    await assertSameCheckpoint(out, model);
  });
});

describe('weights out of the ordinary', () => {
  const withUp = (values: Float32Array): TinyModel => {
    const { config, tensors } = tinyLlama({ layers: 1 });
    return { config, tensors: { ...tensors, 'model.layers.0.mlp.up_proj.weight': matrix([96, 64], values) } };
  };
  const odd = (value: number) => new Float32Array(96 * 64).fill(0.1).fill(value, 70 * 64 + 5, 70 * 64 + 6);

  for (const value of [NaN, Infinity, -Infinity]) {
    for (const observer of ['minmax', 'mse']) {
      it(`${value} is an error that names the tensor and the place (${observer}), and no output looks finished`, async () => {
        const out = join(tempFolder(), 'out');
        const recipe = writeRecipe(`{scheme: W8A8, weight_observer: ${observer}${noHead}}`);
        const model = await writeModel(withUp(odd(value)));
        await assert.rejects(runSession({ threads: 0, recipe, model, out }), (error: TensorpressError) => {
          assert.equal(error.code, 'TENSOR');
          assert.equal(error.exitCode, 1);
          assert.equal(error.message, 'model.layers.0.mlp.up_proj.weight is not finite at [70, 5]');
          assert.equal(error.place.tensor, 'model.layers.0.mlp.up_proj.weight');
          return true;
        });
        const left = readdirSync(out);
        assert.ok(
          !left.includes('config.json') && !left.includes('run.json') && !left.includes('model.safetensors'),
          left.join(),
        );
      });
    }
  }

  it('a weight that is ignored may hold anything', async () => {
    const { out, model } = await apply(withUp(odd(NaN)), '{scheme: W8A8, ignore: [lm_head, "re:.*up_proj"]}');
    const name = 'model.layers.0.mlp.up_proj.weight';
    assert.ok(readAll(out).get(name)!.bytes.equals(readAll(model).get(name)!.bytes));
  });

  const zeros: [name: string, options: string, scale: number][] = [
    ['int4 symmetric', `{config_groups: {g: {targets: [Linear], ${int4}}}${noHead}}`, 2 ** -7],
    [
      'int4 asymmetric',
      `{config_groups: {g: {targets: [Linear], weights: {num_bits: 4, group_size: 32, symmetric: false}}}${noHead}}`,
      2 ** -7,
    ],
    ['fp8', `{scheme: FP8_DYNAMIC${noHead}}`, 2 ** -7],
    ['NVFP4', `{scheme: NVFP4A16${noHead}}`, 0.125],
    ['MXFP4', `{scheme: MXFP4A16${noHead}}`, 0],
  ];
  for (const [name, options, scale] of zeros) {
    it(`zeros stay zeros: ${name}`, async () => {
      const { out, report } = await apply(withUp(new Float32Array(96 * 64)), options);
      const { values } = decodeCheckpoint(out).get('model.layers.0.mlp.up_proj.weight')!;
      assert.ok(values.every(v => v === 0));
      const stored = readAll(out).get('model.layers.0.mlp.up_proj.weight_scale')!;
      const first = {
        BF16: () => Buffer.from([0, 0, ...stored.bytes.subarray(0, 2)]).readFloatLE(0),
        U8: () => stored.bytes[0]!,
        F8_E4M3: () => (stored.bytes[0] === 0x20 ? 0.125 : NaN),
      };
      assert.equal(first[stored.dtype as keyof typeof first](), scale);
      const figures = report.modules.find(({ module }) => module.endsWith('up_proj'))!;
      assert.deepEqual([figures.max_error, figures.sqnr_db], [0, null]);
    });
  }
});

describe('the name of an observer', () => {
  it('stays as the user spells it in recipe.yaml and config.json; run.json has the one that ran', async () => {
    const model = await writeModel(tinyLlama({ layers: 1 }));
    const spelt = (observer: string) =>
      `{config_groups: {g: {targets: [Linear], weights: {num_bits: 8, strategy: channel, observer: ${observer}}}}${noHead}}`;
    const [odd, plain] = [
      await apply(model, spelt('Memoryless-MinMax')),
      await apply(model, spelt('memoryless_minmax')),
    ];
    assert.match(readFileSync(join(odd.out, 'recipe.yaml'), 'utf8'), /observer: Memoryless-MinMax/);
    const config = JSON.parse(readFileSync(join(odd.out, 'config.json'), 'utf8'));
    assert.equal(config.quantization_config.config_groups.group_0.weights.observer, 'Memoryless-MinMax');
    const { observers } = JSON.parse(readFileSync(join(odd.out, 'run.json'), 'utf8'));
    assert.deepEqual([...new Set(Object.values(observers))], ['memoryless_minmax']);
    const weights = (out: string) => readFileSync(join(out, 'model.safetensors'));
    assert.deepEqual(weights(odd.out), weights(plain.out));
  });
});

describe('arithmetic: exact', () => {
  it('takes the nearest code, and so errs less than the reference does in bfloat16', async () => {
    const options = (arithmetic: string) =>
      `{config_groups: {g: {targets: [Linear], weights: {num_bits: 8, strategy: channel}}}, arithmetic: ${arithmetic}${noHead}}`;
    const model = await writeModel(tinyLlama());
    const [reference, exact] = [await apply(model, options('reference')), await apply(model, options('exact'))];
    let gain = 0;
    for (const [i, { module, squared_error }] of exact.report.modules.entries()) {
      if (squared_error === undefined) continue;
      const before = reference.report.modules[i]!.squared_error!;
      assert.ok(squared_error < before, module);
      gain += before / squared_error;
    }
    assert.ok(gain / 14 > 1.05, `mean gain ${gain / 14}`);
    assert.deepEqual(
      exact.report.plan.steps.map(step => step.arithmetic),
      ['exact'],
    );
    for (const [i, { reference_squared_error: measured }] of exact.report.modules.entries())
      assert.equal(measured, reference.report.modules[i]!.squared_error);
    assert.ok(reference.report.modules.every(module => module.reference_squared_error === undefined));
    assert.equal(reference.report.exact_arithmetic, null);
    const { modules, mse, reference_mse: before } = exact.report.exact_arithmetic!;
    const sum = (report: typeof exact.report) => report.modules.reduce((n, m) => n + (m.squared_error ?? 0), 0);
    const elements = 2 * ((64 + 32 + 32 + 64) * 64 + 3 * 64 * 96);
    assert.deepEqual([modules, mse, before], [14, sum(exact.report) / elements, sum(reference.report) / elements]);
    const sentence = `arithmetic: exact leaves a mean squared error of ${mse.toExponential(2)} in 14 modules; the reference's arithmetic would leave ${before.toExponential(2)}. That is ${(100 * (1 - mse / before)).toPrecision(2)} % less.`;
    assert.ok(readFileSync(join(exact.out, 'report.md'), 'utf8').includes(`- ${sentence}\n`), sentence);
    assert.ok(readFileSync(join(exact.out, 'report.html'), 'utf8').includes(sentence.replace("'", '&#39;')), sentence);
    assert.ok(!readFileSync(join(reference.out, 'report.html'), 'utf8').includes('arithmetic: exact'));

    const source = decodeCheckpoint(model);
    const [scales, codes] = [decodeCheckpoint(exact.out), readAll(exact.out)];
    const name = 'model.layers.0.mlp.up_proj';
    const w = source.get(`${name}.weight`)!.values;
    const scale = codes.get(`${name}.weight_scale`)!;
    for (let i = 0; i < w.length; i++) {
      const row = Math.floor(i / 64);
      const s = Buffer.from([0, 0, ...scale.bytes.subarray(2 * row, 2 * row + 2)]).readFloatLE(0);
      const error = Math.abs(scales.get(`${name}.weight`)!.values[i]! - w[i]!);
      assert.ok(error <= s / 2 + 1e-9 || Math.abs(w[i]! / s) > 127, `element ${i} is off by ${error / s} steps`);
    }
  });

  it('makes no difference to a float32 model, and says so', async () => {
    const model = await writeModel(tinyLlama({ layers: 1, dtype: 'F32' }));
    const { report, out } = await apply(model, `{scheme: W8A8, arithmetic: exact${noHead}}`);
    assert.equal(report.exact_arithmetic!.mse, report.exact_arithmetic!.reference_mse);
    assert.match(
      readFileSync(join(out, 'report.md'), 'utf8'),
      /^- arithmetic: exact leaves the error of the reference's arithmetic as it is in 7 modules/m,
    );
  });
});
