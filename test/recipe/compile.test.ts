import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';
import { planPasses } from '../../src/recipe/passes.js';
import { compile } from '../../src/recipe/compile.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import type { Plan } from '../../src/recipe/plan.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model } from '../../src/runtime/model/model.js';
import { random, tinyLlama, without, writeModel, type TinyLlama } from '../support/tiny-model.js';

const modelOf = async (options: TinyLlama = {}) => await loadModel(await writeModel(tinyLlama(options)));

const parse = (text: string) => parseRecipe(text, { file: 'r.yaml' });

/** A recipe with one QuantizationModifier per line, options in flow style. */
const recipe = (...options: string[]) =>
  parse(`version: 1\nmodifiers:\n${options.map(line => `  - QuantizationModifier: ${line}\n`).join('')}`);

const groups = (...lines: string[]) => recipe(`{config_groups: {${lines.join(', ')}}}`);

function refused(parsed: ReturnType<typeof parse>, model: Model): TensorpressError {
  try {
    compile(parsed, model);
  } catch (error) {
    assert.ok(error instanceof TensorpressError, String(error));
    return error;
  }
  assert.fail('compiled');
}

/** `line:column message | hint` of every error. */
const errors = (parsed: ReturnType<typeof parse>, model: Model) =>
  refused(parsed, model).diagnostics.map(
    ({ line, column, message, hint = '' }) => `${line}:${column} ${message} | ${hint}`,
  );

const warnings = (plan: Plan) => plan.warnings.map(({ line, column, message }) => `${line}:${column} ${message}`);

const copies = (plan: Plan, part: string) => plan.parts.find(work => work.part.id === part)!.copies;
const codes = (plan: Plan, part: string) =>
  plan.parts.find(work => work.part.id === part)!.steps.flatMap(step => step.codes);

describe('compile', () => {
  let llama: Model;
  before(async () => {
    llama = await modelOf();
  });

  it('plans codes for what has a scheme and copies for everything else, each tensor once', () => {
    const plan = compile(recipe('{scheme: W8A8, ignore: [lm_head]}'), llama);
    assert.deepEqual(plan.warnings, []);
    assert.deepEqual(codes(plan, 'embedding'), []);
    assert.deepEqual(
      codes(plan, 'layers.1').map(name => name.split('.').at(-1)),
      ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    );
    assert.deepEqual(copies(plan, 'head'), [
      { tensor: 'model.norm.weight', as: 'model.norm.weight' },
      { tensor: 'lm_head.weight', as: 'lm_head.weight' },
    ]);
    const copied = plan.parts.flatMap(part => part.copies.map(({ as }) => as));
    const coded = plan.parts.flatMap(part => part.steps.flatMap(step => step.codes.map(name => `${name}.weight`)));
    assert.deepEqual([...copied, ...coded].sort(), [...llama.source.tensors.keys()].sort());
  });

  it('gives several modifiers their own modules', () => {
    const plan = compile(
      recipe('{scheme: W8A8, targets: ["re:.*self_attn.*"]}', '{scheme: FP8_DYNAMIC, targets: ["re:.*mlp.*"]}'),
      llama,
    );
    assert.deepEqual(
      plan.steps.map(({ schemes }) => schemes.size),
      [8, 6],
    );
    assert.equal(plan.outcome.schemes.size, 14);
    const layer = plan.parts.find(({ part }) => part.id === 'layers.0')!;
    assert.deepEqual(
      layer.steps.map(({ step, codes }) => [step.index, codes.length]),
      [
        [0, 4],
        [1, 3],
      ],
    );
  });

  it('refuses two modifiers that give one module a scheme, once for all modules', () => {
    const both = recipe('{scheme: W8A8, targets: ["re:.*mlp.*"]}', '{scheme: W8A8, ignore: [lm_head]}');
    assert.deepEqual(errors(both, llama), [
      '4:5 model.layers.*.mlp.gate_proj, model.layers.*.mlp.up_proj, model.layers.*.mlp.down_proj: modifier 1 (QuantizationModifier) ' +
        'gives a scheme already | let the targets of the two modifiers exclude each other, or ignore these modules in one of them',
    ]);
  });

  it('shows all errors at once, in the order of the text, each with its frame', () => {
    const text = `version: 1
modifiers:
  - QuantizationModifier:
      config_groups:
        a: {targets: ["re:.*mlp.*"], weights: {num_bits: 4, group_size: 40}}
        b: {targets: [self_attn], weights: {num_bits: 4, group_size: 32}}
      ignore: [lm_haed]
`;
    const error = refused(parse(text), llama);
    assert.equal(error.code, 'PLAN');
    assert.equal(error.exitCode, 2);
    assert.equal(error.message, 'r.yaml does not fit tiny: 4 errors');
    assert.deepEqual([error.place.file, error.place.line], ['r.yaml', 5]);
    const shown = error.diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);
    assert.deepEqual(shown, [
      '5:73 model.layers.*.mlp.gate_proj, model.layers.*.mlp.up_proj (4 modules): the 64 columns of [96, 64] do not divide into groups of 40',
      '5:73 model.layers.*.mlp.down_proj (2 modules): the 96 columns of [64, 96] do not divide into groups of 40',
      '6:23 "self_attn" matches no module of this model',
      '7:16 "lm_haed" in ignore matches no module of this model',
    ]);
    for (const { frame } of error.diagnostics) assert.match(frame!, /\^/);
  });

  it('lists the sizes of groups that would do, nearest first', () => {
    const [error] = errors(groups('g: {targets: ["re:.*down_proj"], weights: {num_bits: 4, group_size: 64}}'), llama);
    assert.match(
      error!,
      /the 96 columns of \[64, 96\] do not divide into groups of 64 \| groups of 12, 16, 24, 32, 48, 96 do; or strategy: channel/,
    );
    const ofPreset = errors(recipe('{scheme: W4A16}'), llama);
    assert.deepEqual(
      ofPreset.map(text => text.split(' ')[0]),
      ['3:36', '3:36', '3:36', '3:36', '3:36'],
      'one for each shape',
    );
  });

  it('offers no other group size where the number format has one only', async () => {
    const odd = await modelOf({ hidden: 40 });
    const [error] = errors(recipe('{scheme: NVFP4A16, targets: ["re:.*q_proj"]}'), odd);
    assert.match(
      error!,
      /the 40 columns of \[40, 40\] do not divide into groups of 16 \| this number format has one group size only/,
    );
  });

  it('refuses FP8_BLOCK where its inputs cannot be grouped, and takes block weights alone', () => {
    const [error] = errors(recipe('{scheme: FP8_BLOCK, targets: ["re:.*down_proj"]}'), llama);
    assert.match(
      error!,
      /^3:36 model\.layers\.\*\.mlp\.down_proj \(2 modules\): input activations: the 96 columns of \[64, 96\] do not divide into groups of 128, so no runtime could run it \| quantize the inputs by token/,
    );
    const weights = 'weights: {num_bits: 8, type: float, strategy: block, block_structure: [128, 128]}';
    const plan = compile(groups(`g: {targets: ["re:.*down_proj"], ${weights}}`), llama);
    assert.equal(plan.outcome.schemes.size, 2);
  });

  const impossible: [name: string, group: string, message: RegExp][] = [
    [
      'a strategy that weights do not have',
      'weights: {num_bits: 8, strategy: token, dynamic: true}',
      /weights cannot use strategy token/,
    ],
    ['dynamic weights', 'weights: {num_bits: 8, strategy: tensor, dynamic: true}', /weights are quantized once/],
    [
      'fp4 without a format that stores it',
      'weights: {num_bits: 4, type: float, strategy: channel}',
      /stores int or fp8 weights, not fp4, which are stored in groups of 16/,
    ],
    ['format: dense', 'weights: {num_bits: 8}, format: dense', /format: dense stores no codes/],
    [
      'a format that cannot hold the codes',
      'weights: {num_bits: 4}, format: float-quantized',
      /float-quantized stores fp8 weights, not int4/,
    ],
  ];
  for (const [name, group, message] of impossible) {
    it(`refuses ${name}`, () => {
      const [error, ...others] = errors(groups(`g: {targets: ["re:.*q_proj"], ${group}}`), llama);
      assert.match(error!, message);
      assert.deepEqual(others, []);
    });
  }

  it('takes a format that is asked for', () => {
    const formats = ['pack-quantized', 'int-quantized', 'naive-quantized'];
    for (const format of formats) {
      const plan = compile(groups(`g: {targets: [lm_head], weights: {num_bits: 4}, format: ${format}}`), llama);
      assert.equal(plan.outcome.schemes.get('lm_head')!.format, format);
    }
  });

  it('warns where narrow weights are stored in whole bytes', () => {
    const group =
      'weights: {num_bits: 4, group_size: 32}, input_activations: {num_bits: 8, strategy: token, dynamic: true}';
    const plan = compile(groups(`g: {targets: ["re:.*mlp.*"], ${group}}`), llama);
    assert.equal(plan.warnings.length, 1);
    assert.match(plan.warnings[0]!.message, /\(6 modules\): 4-bit weights are stored in whole bytes/);
    assert.match(plan.warnings[0]!.hint!, /format: pack-quantized/);
    const packed = compile(groups(`g: {targets: ["re:.*mlp.*"], ${group}, format: pack-quantized}`), llama);
    assert.deepEqual(packed.warnings, []);
  });

  it('warns once for each kind of family that NVFP4 tears apart', () => {
    const plan = compile(recipe('{scheme: NVFP4A16, ignore: [lm_head, "re:.*v_proj", "re:.*up_proj"]}'), llama);
    assert.deepEqual(warnings(plan), [
      '3:36 model.layers.*.self_attn: q_proj and k_proj cannot share a global scale with v_proj, with which runtimes fuse them',
      '3:36 model.layers.*.mlp: gate_proj cannot share a global scale with up_proj, with which runtimes fuse them',
    ]);
  });

  it('warns of an ignored pattern that matches nothing, in place', () => {
    const plan = compile(recipe('{scheme: W8A8, ignore: [lm_head, "re:.*mlp.gate$"]}'), llama);
    assert.deepEqual(warnings(plan), ['3:60 "re:.*mlp.gate$" in ignore matches no module of this model']);
  });

  it('refuses a modifier that ignore leaves nothing to do', () => {
    const [error] = errors(recipe('{scheme: W8A8, ignore: ["re:.*"]}'), llama);
    assert.match(error!, /^3:42 ignore keeps out every module that the targets match/);
  });

  it('lets UNQUANTIZED leave everything as it is', () => {
    const plan = compile(recipe('{scheme: UNQUANTIZED}'), llama);
    assert.equal(plan.outcome.schemes.size, 0);
    assert.ok(plan.parts.every(({ steps }) => steps.length === 0));
  });

  it('keeps the weights of a group that quantizes inputs only', () => {
    const plan = compile(
      groups('g: {targets: [lm_head], input_activations: {num_bits: 8, strategy: token, dynamic: true}}'),
      llama,
    );
    assert.deepEqual(codes(plan, 'head'), []);
    assert.equal(plan.outcome.schemes.get('lm_head')!.format, 'dense');
  });

  it('refuses a model that is quantized already, and names convert', async () => {
    const { config, tensors } = tinyLlama();
    const quantized = { ...config, quantization_config: { quant_method: 'compressed-tensors' } };
    const model = await loadModel(await writeModel({ config: quantized, tensors }));
    const error = refused(recipe('{scheme: W8A8}'), model);
    assert.equal(error.code, 'PLAN');
    assert.match(error.message, /tiny is quantized already/);
    assert.match(error.hint!, /tensorpress convert .* --to dense/);
  });
});

describe('compile, of activations, attention and cache', () => {
  let llama: Model;
  before(async () => {
    llama = await modelOf();
  });

  /** One QuantizationModifier per line, and a text for calibration on the last. */
  const calibrated = (...options: string[]) =>
    parse(
      `version: 1\nmodifiers:\n${options.map(line => `  - QuantizationModifier: ${line}\n`).join('')}calibration: {dataset: a.txt}\n`,
    );
  const group = (text: string) => calibrated(`{config_groups: {g: {${text}}}}`);
  const fp8 = 'num_bits: 8, type: float';
  const work = (plan: Plan, part: string) => plan.parts.find(own => own.part.id === part)!.steps[0]!;

  it('plans what is observed and what is stored for it, part by part', () => {
    const plan = compile(calibrated(`{scheme: FP8, ignore: [lm_head], kv_cache_scheme: {${fp8}}}`), llama);
    assert.ok(planPasses(plan));
    assert.deepEqual(plan.warnings, []);
    const { observe, parameters } = work(plan, 'layers.1');
    assert.deepEqual(
      observe.slice(0, 4).map(({ site, observer }) => `${site} ${observer}`),
      ['self_attn.k', 'self_attn.v', 'self_attn.q_proj.input', 'self_attn.k_proj.input'].map(
        site => `model.layers.1.${site} static_minmax`,
      ),
    );
    assert.deepEqual([observe.length, parameters.length], [9, 9]);
    assert.deepEqual(
      plan.parts.filter(({ steps }) => steps.length > 0).map(({ part }) => part.id),
      ['layers.0', 'layers.1'],
    );
    assert.equal(plan.outcome.cache!.strategy, 'tensor');
  });

  it('needs no calibration where nothing is stored', () => {
    const dynamic = `{kv_cache_scheme: {${fp8}, strategy: token, dynamic: true}}`;
    const plan = compile(recipe('{scheme: FP8_DYNAMIC}', dynamic), llama);
    assert.equal(planPasses(plan), undefined);
    assert.equal(plan.outcome.cache!.dynamic, true);
    assert.ok(plan.parts.every(({ steps }) => steps.every(({ parameters }) => parameters.length === 0)));
  });

  it('writes one kv_cache_scheme where all attention modules keep keys and values alike', () => {
    const all = compile(group(`targets: [LlamaAttention], input_activations: {${fp8}}`), llama);
    assert.equal(all.outcome.cache!.num_bits, 8);
    const one = compile(group(`targets: [model.layers.0.self_attn], input_activations: {${fp8}}`), llama);
    assert.equal(one.outcome.cache, null);
    assert.deepEqual(warnings(one), [
      '3:28 model.layers.1.self_attn keeps keys and values in another way, so config.json has no kv_cache_scheme',
    ]);
  });

  const cases: [name: string, options: string, expected: string][] = [
    [
      'static inputs by group',
      `{config_groups: {g: {targets: [lm_head], input_activations: {num_bits: 8, group_size: 32}}}}`,
      '3:68 lm_head: static input activations cannot use strategy group | write strategy: tensor, or dynamic: true',
    ],
    [
      'static outputs by token group',
      `{config_groups: {g: {targets: [lm_head], output_activations: {num_bits: 8, group_size: 16}}}}`,
      '3:68 lm_head: static output activations cannot use strategy group | write strategy: tensor, or dynamic: true',
    ],
    [
      'static inputs of an embedding',
      '{scheme: FP8, targets: [Embedding]}',
      '3:36 model.embed_tokens: an embedding has no input activations with a scale | give embeddings a group of their own, with weights only',
    ],
    [
      'a cache by channel',
      `{kv_cache_scheme: {${fp8}, strategy: channel}}`,
      '3:82 model.layers.*.self_attn (2 modules): keys and values cannot use strategy channel | write strategy: tensor or attn_head, or dynamic: true',
    ],
    [
      'a cache with a global scale',
      '{kv_cache_scheme: {num_bits: 4, type: float, strategy: tensor_group, group_size: 16, dynamic: local}}',
      '3:121 model.layers.*.self_attn (2 modules): keys and values cannot use dynamic: local | write strategy: tensor or attn_head, or dynamic: true',
    ],
    [
      'queries by group',
      `{config_groups: {g: {targets: [LlamaAttention], input_activations: {${fp8}, group_size: 16}}}}`,
      '3:75 model.layers.*.self_attn (2 modules): queries cannot use strategy group | write strategy: tensor or attn_head, or dynamic: true',
    ],
    [
      'an observer that sees weights only',
      `{kv_cache_scheme: {${fp8}, observer: imatrix_mse}}`,
      '3:82 model.layers.*.self_attn (2 modules): the observer imatrix_mse is for weights, not for keys and values | ' +
        'static_minmax sees every batch; minmax takes a moving average',
    ],
  ];
  for (const [name, options, expected] of cases) {
    it(`refuses ${name}, in place`, () => {
      assert.deepEqual(errors(calibrated(options), llama), [expected]);
    });
  }

  it('refuses two modifiers with a scheme for the cache', () => {
    assert.deepEqual(
      errors(calibrated(`{scheme: FP8, kv_cache_scheme: {${fp8}}}`, `{kv_cache_scheme: {${fp8}}}`), llama),
      [
        '4:28 model.layers.*.self_attn: modifier 1 (QuantizationModifier) gives a scheme already, and a cache has one | leave it to one of the two modifiers',
      ],
    );
  });

  it('warns of the observer that forgets, and of zero points that vLLM does not load', () => {
    const plan = compile(
      calibrated(
        '{scheme: FP8, input_observer: memoryless_minmax, kv_cache_scheme: {num_bits: 8, symmetric: false, observer: memoryless-minmax}}',
      ),
      llama,
    );
    assert.deepEqual(
      plan.warnings.map(({ message }) => message.replace(/^.*?: /, '')),
      [
        'memoryless_minmax forgets: of static input activations only the last batch counts',
        'keys and values are asymmetric, and vLLM does not load their zero points',
        'memoryless_minmax forgets: of keys and values only the last batch counts',
      ],
    );
  });

  it('refuses to calibrate without data, and names the modules and the way out', () => {
    assert.deepEqual(errors(recipe(`{scheme: NVFP4, targets: [lm_head], kv_cache_scheme: {${fp8}}}`), llama), [
      '3:5 model.layers.*.self_attn, lm_head (3 modules): calibration data are needed | ' +
        'add calibration: {dataset: FILE.txt}; round to nearest with dynamic activations (FP8_DYNAMIC, W4A16) needs none',
    ]);
    const [weighed] = errors(
      recipe('{scheme: W8A8, targets: [lm_head, Embedding], weight_observer: imatrix_mse}'),
      llama,
    );
    assert.match(weighed!, /^3:5 lm_head: calibration data are needed/, 'an embedding has no input to weigh by');
  });

  it('refuses to calibrate a model that cannot be run', async () => {
    const { config, tensors } = tinyLlama({ layers: 1 });
    const odd = { ...config, architectures: ['OddForCausalLM'], model_type: 'odd' };
    const model = await loadModel(await writeModel({ config: odd, tensors }));
    const [error, ...others] = errors(calibrated('{scheme: FP8}'), model);
    assert.match(
      error!,
      /^3:5 calibration is needed, and models of architecture OddForCausalLM cannot be run \| round to nearest/,
    );
    assert.deepEqual(others, []);
  });

  it('refuses to judge a cache without scales', () => {
    const text = `version: 1\nmodifiers:\n  - QuantizationModifier: {kv_cache_scheme: {strategy: token, dynamic: true}}\nevaluation: {data: a.txt}\n`;
    assert.match(errors(parse(text), llama)[0]!, /^4:1 .*a dynamic kv_cache_scheme/);
  });

  it('weighs the errors of weights by the energy of their inputs, and separates tied embeddings for it', async () => {
    const model = await modelOf({ tied: 'absent', layers: 1 });
    const options = '{scheme: W8A8, targets: [lm_head, Embedding], weight_observer: imatrix_mse}';
    const plan = compile(calibrated(options), model);
    assert.deepEqual(work(plan, 'head').observe, [{ site: 'lm_head.input', observer: 'energy' }]);
    assert.equal(plan.outcome.tied, false);
  });
});

describe('compile, of a GPTQModifier without a scheme', () => {
  const chain = (first: string, ...rest: string[]) =>
    parse(
      `version: 1\nmodifiers:\n  - QuantizationModifier: ${first}\n${rest.join('')}  - GPTQModifier: {}\ncalibration: {dataset: a.txt}\n`,
    );

  it('lets it make the codes, and the modifier that gave the scheme store the scales of activations', async () => {
    const plan = compile(
      chain('{scheme: FP8, targets: [lm_head], kv_cache_scheme: {num_bits: 8}}'),
      await modelOf({ layers: 1 }),
    );
    const summary = (part: string) =>
      plan.parts
        .find(own => own.part.id === part)!
        .steps.map(({ step, codes: made, parameters, observe }) => [
          step.modifier.type,
          made,
          parameters.map(({ name }) => name),
          observe.map(({ site, observer }) => `${observer} of ${site}`),
        ]);
    const kv = ['k', 'v'].map(side => `model.layers.0.self_attn.${side}`);
    assert.deepEqual(summary('layers.0'), [
      ['QuantizationModifier', [], kv.map(name => `${name}_scale`), kv.map(site => `static_minmax of ${site}`)],
    ]);
    assert.deepEqual(summary('head'), [
      ['QuantizationModifier', [], ['lm_head.input_scale'], ['static_minmax of lm_head.input']],
      ['GPTQModifier', ['lm_head'], [], ['hessian of lm_head.input']],
    ]);
    assert.equal(plan.outcome.schemes.get('lm_head')!.weights!.actorder, null, 'the scheme stays as it was given');
  });

  it('refuses it where there is no weight to inherit', async () => {
    const parsed = chain(
      '{config_groups: {g: {targets: [lm_head], input_activations: {strategy: token, dynamic: true}}}}',
    );
    const [error] = errors(parsed, await modelOf({ layers: 1 }));
    assert.match(
      error!,
      /^4:5 there is no scheme to inherit: no modifier before it quantizes a weight \| add scheme: W4A16/,
    );
  });

  it('separates a tied head, whose codes depend on what flows in', async () => {
    const plan = compile(
      chain('{scheme: FP8_DYNAMIC, targets: [Linear, Embedding]}'),
      await modelOf({ tied: 'absent', layers: 1 }),
    );
    assert.equal(plan.outcome.tied, false);
    assert.deepEqual([codes(plan, 'embedding'), codes(plan, 'head')], [['model.embed_tokens'], ['lm_head']]);
  });
});

describe('compile, of work that does not exist yet', () => {
  let llama: Model;
  before(async () => {
    llama = await modelOf();
  });

  const sentence = (what: string) =>
    `this recipe is valid, but this version of tensorpress does not carry out ${what} yet`;
  const cases: [text: string, what: string, line: number][] = [
    ['  - SmoothQuantModifier: {}\n', 'SmoothQuantModifier', 3],
    [
      '  - SmoothQuantModifier: {}\n  - SparseGPTModifier: {sparsity: 0.5}\n',
      'SmoothQuantModifier and SparseGPTModifier',
      3,
    ],
    ['  - AWQModifier: {}\n  - QuantizationModifier: {scheme: W8A8}\n', 'AWQModifier', 3],
    [
      '  - QuantizationModifier: {scheme: W8A8}\noutputs:\n  - {format: compressed-tensors}\n  - {format: gguf, type: Q8_0}\n',
      'the output format gguf',
      6,
    ],
  ];
  for (const [text, what, line] of cases) {
    it(`says in one sentence with a place that ${what} is missing`, () => {
      const error = refused(parse(`version: 1\nmodifiers:\n${text}`), llama);
      assert.equal(error.code, 'NOT_BUILT');
      assert.equal(error.exitCode, 2);
      assert.equal(error.message, sentence(what));
      assert.deepEqual([error.place.file, error.place.line], ['r.yaml', line]);
      assert.ok(error.place.column! > 0);
      assert.deepEqual(error.diagnostics, []);
    });
  }

  it('names real errors first', () => {
    const error = refused(
      parse(
        'version: 1\nmodifiers:\n  - SmoothQuantModifier: {}\n  - QuantizationModifier: {scheme: W8A8, targets: [q_proj]}\n',
      ),
      llama,
    );
    assert.equal(error.code, 'PLAN');
    assert.equal(error.diagnostics.length, 1);
  });
});

describe('compile, tied embeddings', () => {
  const int4 = 'weights: {num_bits: 4, group_size: 32}';
  const cases: [
    name: string,
    options: string[],
    tied: boolean,
    joined: boolean,
    embedding: string[],
    head: string[],
  ][] = [
    ['stay one tensor when neither side has codes', ['{scheme: W8A8, ignore: [lm_head]}'], true, true, [], []],
    ['part when the head alone gets codes', ['{scheme: W8A8}'], false, false, [], ['lm_head']],
    [
      'part when the embedding alone gets codes',
      ['{scheme: INT8, targets: [Embedding, Linear], ignore: [lm_head]}'],
      false,
      false,
      ['model.embed_tokens'],
      [],
    ],
    [
      'are joined again when both get the same',
      [`{config_groups: {g: {targets: [Embedding, Linear], ${int4}}}}`],
      true,
      true,
      ['model.embed_tokens'],
      [],
    ],
    [
      'are joined again when two groups say the same',
      [`{config_groups: {a: {targets: [Embedding], ${int4}}, b: {targets: [Linear], ${int4}}}}`],
      true,
      true,
      ['model.embed_tokens'],
      [],
    ],
    [
      'part when both get different schemes',
      [`{config_groups: {a: {targets: [Embedding], ${int4}}, b: {targets: [Linear], weights: {num_bits: 8}}}}`],
      false,
      false,
      ['model.embed_tokens'],
      ['lm_head'],
    ],
    [
      'are joined again when two modifiers do the same',
      ['{scheme: FP8_DYNAMIC, targets: [Embedding]}', '{scheme: FP8_DYNAMIC}'],
      true,
      true,
      ['model.embed_tokens'],
      [],
    ],
    [
      'part when two modifiers round differently',
      ['{scheme: FP8_DYNAMIC, targets: [Embedding]}', '{scheme: FP8_DYNAMIC, arithmetic: exact}'],
      false,
      false,
      ['model.embed_tokens'],
      ['lm_head'],
    ],
    [
      'stay one tensor when only inputs are quantized',
      ['{config_groups: {g: {targets: [lm_head], input_activations: {num_bits: 8, strategy: token, dynamic: true}}}}'],
      true,
      true,
      [],
      [],
    ],
  ];
  for (const [name, options, tied, joined, embedding, head] of cases) {
    it(name, async () => {
      const model = await modelOf({ tied: 'absent', layers: 1 });
      const plan = compile(recipe(...options), model);
      assert.equal(plan.outcome.tied, tied);
      assert.deepEqual([...plan.outcome.joined], joined ? [['lm_head', 'model.embed_tokens']] : []);
      assert.deepEqual(codes(plan, 'embedding'), embedding);
      assert.deepEqual(codes(plan, 'head'), head);
      const written = copies(plan, 'embedding').concat(copies(plan, 'head'));
      const expected = [
        ...(embedding.length > 0 ? [] : ['model.embed_tokens.weight']),
        'model.norm.weight',
        ...(joined || head.length > 0 ? [] : ['lm_head.weight']),
      ];
      assert.deepEqual(
        written.map(({ as }) => as),
        expected,
      );
    });
  }

  it('leave out the second copy that a file holds, and keep a head that differs', async () => {
    const equal = compile(recipe('{scheme: W8A8, ignore: [lm_head]}'), await modelOf({ tied: 'equal', layers: 1 }));
    assert.equal(equal.outcome.tied, true);
    assert.ok(!copies(equal, 'head').some(({ as }) => as === 'lm_head.weight'));
    const different = compile(
      recipe('{scheme: W8A8, ignore: [lm_head]}'),
      await modelOf({ tied: 'different', layers: 1 }),
    );
    assert.equal(different.outcome.tied, false);
    assert.ok(copies(different, 'head').some(({ as }) => as === 'lm_head.weight'));
  });
});

describe('compile, of any decoder', () => {
  it('leaves the routers of a mixture alone and takes its experts', async () => {
    const tensors = without(tinyLlama({ layers: 1 }).tensors, /mlp/);
    tensors['model.layers.0.mlp.gate.weight'] = random([4, 64], 50);
    for (let e = 0; e < 4; e++) {
      tensors[`model.layers.0.mlp.experts.${e}.gate_proj.weight`] = random([32, 64], 60 + e);
      tensors[`model.layers.0.mlp.experts.${e}.up_proj.weight`] = random([32, 64], 70 + e);
      tensors[`model.layers.0.mlp.experts.${e}.down_proj.weight`] = random([64, 32], 80 + e);
    }
    const config = { architectures: ['NovelMoeForCausalLM'], model_type: 'novel_moe', num_hidden_layers: 1 };
    const model = await loadModel(await writeModel({ config, tensors }));
    const plan = compile(recipe('{scheme: W8A8, ignore: [lm_head, "re:.*mlp.gate$"]}'), model);
    assert.equal(codes(plan, 'layers.0').length, 4 + 12);
    assert.ok(copies(plan, 'layers.0').some(({ as }) => as === 'model.layers.0.mlp.gate.weight'));
    assert.deepEqual(plan.warnings, [], 'the router is there to be ignored');
    assert.match(model.notes.join(), /NovelMoeForCausalLM is not in the table of architectures/);
  });
});
