import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TensorpressError } from '../../../src/errors.js';
import { buildModel } from '../../../src/runtime/model/build.js';
import { readConfig } from '../../../src/runtime/model/config.js';
import type { Model } from '../../../src/runtime/model/model.js';
import { memorySource, type MemoryTensor } from '../../support/memory-source.js';

type Shapes = Record<string, number[] | MemoryTensor>;

function build(config: object, shapes: Shapes): Promise<Model> {
  const tensors = Object.entries(shapes).map(
    ([name, tensor]) => [name, Array.isArray(tensor) ? { shape: tensor } : tensor] as const,
  );
  return buildModel({
    folder: '/models/foo',
    name: 'foo',
    config: readConfig(JSON.stringify(config)),
    source: memorySource(Object.fromEntries(tensors)),
    companions: [],
  });
}

const foo = { architectures: ['FooForCausalLM'], num_hidden_layers: 2, tie_word_embeddings: false };
const body: Shapes = { 'model.embed_tokens.weight': [16, 8], 'model.norm.weight': [8], 'lm_head.weight': [16, 8] };
const layers = (count: number, tensors: Record<string, number[]>): Shapes =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) =>
      Object.entries(tensors).map(([name, shape]) => [`model.layers.${i}.${name}`, shape]),
    ).flat(),
  ) as Shapes;
const attention = {
  'self_attn.k_proj.weight': [4, 8],
  'self_attn.o_proj.weight': [8, 8],
  'self_attn.q_proj.bias': [8],
  'self_attn.q_proj.weight': [8, 8],
  'self_attn.v_proj.weight': [4, 8],
  'input_layernorm.weight': [8],
};
const mlp = { 'mlp.down_proj.weight': [8, 12], 'mlp.gate_proj.weight': [12, 8], 'mlp.up_proj.weight': [12, 8] };
const llama = { architectures: ['LlamaForCausalLM'], num_hidden_layers: 2 };
const llamaLayer = { ...attention, ...mlp, 'post_attention_layernorm.weight': [8] };

const names = (model: Model, of = (m: Model['modules'][number]) => m.weight !== undefined) =>
  model.modules.filter(of).map(m => m.name);
const classOf = (model: Model, name: string) => model.modules.find(m => m.name === name)?.classes;

describe('buildModel of an unknown architecture', () => {
  it('infers modules, order, parts and families from the tensors, and says so', async () => {
    const model = await build(foo, { ...body, ...layers(2, { ...attention, ...mlp }) });
    assert.equal(model.known, false);
    const inLayer = (i: number) =>
      names(model, m => m.name.startsWith(`model.layers.${i}.`)).map(name => name.slice('model.layers.0.'.length));
    assert.deepEqual(inLayer(1), [
      ...['self_attn', 'self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'],
      ...['mlp', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj', 'input_layernorm'],
    ]);
    assert.deepEqual(
      model.modules.slice(0, 5).map(m => m.name),
      ['', 'model', 'model.embed_tokens', 'model.layers', 'model.layers.0'],
    );
    assert.deepEqual(classOf(model, ''), ['FooForCausalLM', 'FooPreTrainedModel', 'PreTrainedModel', 'Module']);
    assert.deepEqual(classOf(model, 'model.layers.0.self_attn'), ['FooAttention', 'Module']);
    assert.deepEqual(classOf(model, 'model.layers.0'), ['FooDecoderLayer', 'GradientCheckpointingLayer', 'Module']);
    assert.deepEqual(classOf(model, 'model.layers'), ['ModuleList', 'Module']);
    assert.deepEqual(classOf(model, 'model.norm'), ['FooRMSNorm', 'Module']);
    assert.deepEqual(
      model.parts.map(({ id, tensors }) => [id, tensors.length]),
      [
        ['embedding', 1],
        ['layers.0', 9],
        ['layers.1', 9],
        ['head', 2],
      ],
    );
    assert.equal(
      model.modules.find(m => m.name === 'model.layers.0.self_attn.q_proj')?.bias,
      'model.layers.0.self_attn.q_proj.bias',
    );
    assert.deepEqual(names(model, m => m.family === 'model.layers.1.self_attn.qkv').length, 3);
    assert.deepEqual(model.notes, [
      'FooForCausalLM is not in the table of architectures; modules inferred from names and shapes: 15 Linear, 1 Embedding, 3 norms',
    ]);
  });

  it('quantizes separate experts, leaves routers alone, and passes fused stacks through', async () => {
    const separate = await build(foo, {
      ...body,
      ...layers(2, {
        'mlp.gate.weight': [4, 8],
        'mlp.experts.0.w1.weight': [12, 8],
        'mlp.experts.0.w3.weight': [12, 8],
        'mlp.experts.10.w1.weight': [12, 8],
      }),
    });
    assert.deepEqual(classOf(separate, 'model.layers.0.mlp.gate'), ['FooTopKRouter', 'Module']);
    assert.equal(names(separate).includes('model.layers.0.mlp.gate'), false);
    assert.equal(names(separate).filter(name => name.includes('experts')).length, 6);
    // w1 of the second expert stands alone, so it shares its scale with nobody
    assert.deepEqual(
      names(separate, m => m.family?.startsWith('model.layers.0.') ?? false),
      ['model.layers.0.mlp.experts.0.w1', 'model.layers.0.mlp.experts.0.w3'],
    );

    const fused = await build(foo, {
      ...body,
      ...layers(2, { ...attention, 'mlp.experts.gate_up_proj': [4, 8, 24], 'mlp.gate.weight': [4, 8] }),
    });
    assert.equal(
      fused.notes.at(-1),
      '2 fused expert stacks (model.layers.*.mlp.experts.gate_up_proj) pass through untouched',
    );
    assert.ok(fused.parts.find(p => p.id === 'layers.0')?.tensors.includes('model.layers.0.mlp.experts.gate_up_proj'));
  });

  it('lists Linears of a vision tower, so that readers are told to ignore them, but gives none a weight', async () => {
    const model = await build(
      { architectures: ['FooForConditionalGeneration'], text_config: { num_hidden_layers: 2 } },
      {
        ...layers(2, attention),
        'model.embed_tokens.weight': [16, 8],
        'visual.blocks.0.attn.qkv.weight': [999, 8],
        'visual.patch_embed.proj.weight': [8, 3, 2, 2],
        'multi_modal_projector.linear_1.weight': [8, 8],
      },
    );
    assert.deepEqual(classOf(model, 'visual.blocks.0.attn.qkv'), ['Linear', 'Module']);
    assert.ok(names(model).every(name => name.startsWith('model.') || name === 'lm_head'));
    assert.deepEqual(model.parts.find(p => p.id === 'other')?.tensors.length, 3);
    assert.ok(
      model.notes.includes(
        '3 tensors outside the language model (multi_modal_projector.*, visual.*) pass through untouched',
      ),
    );
  });

  it('passes through what no rule covers, one sentence each', async () => {
    const model = await build(foo, {
      ...body,
      ...layers(2, {
        ...attention,
        'mixer.conv1d.weight': [8, 1, 4],
        'mixer.A_log': [8, 4],
        'rotary_emb.inv_freq': [4],
        'mixer.D': [8],
      }),
      'model.layers.0.mlp.up_proj.weight': { shape: [8, 8], dtype: 'F8_E4M3' },
      'model.embed_positions.weight': [32, 8],
    });
    assert.deepEqual(model.notes.slice(1).sort(), [
      '1 position embedding (model.embed_positions.weight) passes through untouched',
      '1 weight that is neither F32, F16 nor BF16 (model.layers.*.mlp.up_proj.weight) passes through untouched',
      '2 buffers (model.layers.*.rotary_emb.inv_freq) pass through untouched',
      '2 convolutions (model.layers.*.mixer.conv1d.weight) pass through untouched',
      '2 parameters that are no weights (model.layers.*.mixer.A_log) pass through untouched',
    ]);
    assert.deepEqual(classOf(model, 'model.layers.0.mlp.up_proj'), ['Linear', 'Module']);
  });

  it('leaves GPT-2 as it is but for its head', async () => {
    const model = await build(
      { architectures: ['GPT2LMHeadModel'], n_layer: 1 },
      {
        'wte.weight': [16, 8],
        'wpe.weight': [4, 8],
        'h.0.attn.c_attn.weight': [8, 24],
        'h.0.attn.bias': [1, 1, 4, 4],
        'ln_f.weight': [8],
      },
    );
    assert.deepEqual(classOf(model, 'h.0.attn.c_attn'), ['Conv1D', 'Module']);
    assert.deepEqual(names(model), ['wte', 'lm_head']);
    assert.equal(model.modules.find(m => m.name === 'h.0.attn')?.bias, undefined);
  });

  it('passes layers beyond num_hidden_layers through', async () => {
    const model = await build(foo, { ...body, ...layers(3, attention) });
    assert.ok(names(model).every(name => !name.startsWith('model.layers.2.')));
    assert.deepEqual(classOf(model, 'model.layers.2.self_attn.q_proj'), ['Linear', 'Module']);
    assert.match(model.notes.at(-1)!, /^6 tensors of layers beyond num_hidden_layers \(.*\) pass through untouched$/);
    assert.equal(model.parts.at(-1)?.id, 'other');
  });

  it('takes the dtype that most weights have', async () => {
    const f16 = (shape: number[]): MemoryTensor => ({ shape, dtype: 'F16' });
    const model = await build(
      { ...foo, dtype: 'float32' },
      { 'model.embed_tokens.weight': f16([16, 8]), 'lm_head.weight': [4, 8] },
    );
    assert.equal(model.dtype, 'F16');
    assert.equal((await build({ ...foo, dtype: 'float16' }, { 'model.norm.weight': [8] })).dtype, 'F16');
  });
});

describe('buildModel of a known architecture', () => {
  it('adds what the weights hold beyond the table', async () => {
    const model = await build(llama, { ...body, ...layers(2, { ...llamaLayer, 'self_attn.extra.weight': [8, 8] }) });
    assert.equal(model.known, true);
    assert.ok(names(model).includes('model.layers.1.self_attn.extra'));
    assert.deepEqual(model.notes, [
      'the weights hold modules that LlamaForCausalLM has not, inferred from names and shapes: 2 Linear',
    ]);
  });

  it('refuses weights that lack a tensor, naming it', async () => {
    const shapes = { ...body, ...layers(2, llamaLayer) };
    delete shapes['model.layers.1.mlp.up_proj.weight'];
    delete shapes['model.norm.weight'];
    await assert.rejects(build(llama, shapes), (error: unknown) => {
      assert.ok(error instanceof TensorpressError);
      assert.equal(error.message, 'the weights lack model.layers.1.mlp.up_proj.weight and 1 other tensor');
      assert.deepEqual([error.code, error.place.tensor], ['MODEL', 'model.layers.1.mlp.up_proj.weight']);
      return true;
    });
    await assert.rejects(
      build({ ...llama, num_hidden_layers: 1_000_000 }, shapes),
      /tells of 1000000 layers, but the weights hold 2$/,
    );
    const { 'lm_head.weight': _, ...headless } = { ...body, ...layers(2, llamaLayer) };
    await assert.rejects(
      build(llama, headless),
      (e: unknown) => e instanceof TensorpressError && /tie_word_embeddings/.test(e.hint ?? ''),
    );
  });

  it('tells of biases that config.json promises and the weights lack', async () => {
    const model = await build({ ...llama, attention_bias: true }, { ...body, ...layers(2, llamaLayer) });
    assert.match(
      model.notes[0]!,
      /^6 biases that config.json asks for are not in the weights \(model\.layers\.\*\.self_attn\.k_proj\.bias, /,
    );
  });

  it('counts layers in the weights where config.json does not', async () => {
    const model = await build({ architectures: ['LlamaForCausalLM'] }, { ...body, ...layers(3, llamaLayer) });
    assert.deepEqual(
      model.parts.map(p => p.id),
      ['embedding', 'layers.0', 'layers.1', 'layers.2', 'head'],
    );
    assert.deepEqual(model.notes, []);
  });

  it('infers where tensor names are not those of the family', async () => {
    const model = await build(llama, {
      'tok_embeddings.weight': [16, 8],
      'layers.0.attention.wq.weight': [8, 8],
      'output.weight': [16, 8],
    });
    assert.equal(model.known, false);
    assert.match(model.notes[0]!, /^tensor names are not those of LlamaForCausalLM; /);
  });

  it('passes fused experts of a known mixture through', async () => {
    const model = await build(
      { ...llama, architectures: ['Qwen3MoeForCausalLM'], num_experts: 4 },
      {
        ...body,
        ...layers(2, {
          ...attention,
          ...{ 'self_attn.q_norm.weight': [4], 'self_attn.k_norm.weight': [4], 'post_attention_layernorm.weight': [8] },
          ...{ 'mlp.gate.weight': [4, 8], 'mlp.experts.gate_up_proj': [4, 24, 8], 'mlp.experts.down_proj': [4, 8, 12] },
        }),
      },
    );
    assert.equal(model.known, true);
    assert.match(model.notes.join(), /4 fused expert stacks/);
    assert.equal(
      model.modules.some(m => m.name.endsWith('.experts.0')),
      false,
    );
    await assert.rejects(
      build({ ...llama, architectures: ['Qwen3MoeForCausalLM'] }, { ...body, ...layers(2, attention) }),
      /tells of 2 layers of 128 experts/,
    );
  });

  it('reads a quantized folder without asking for weights', async () => {
    const { 'mlp.up_proj.weight': _, ...rest } = llamaLayer;
    const model = await build(
      { ...llama, quantization_config: { quant_method: 'compressed-tensors' } },
      { ...body, ...layers(2, { ...rest, 'mlp.up_proj.weight_packed': [12, 1], 'mlp.up_proj.weight_scale': [12, 1] }) },
    );
    assert.equal(model.quantized, true);
    assert.equal(names(model).includes('model.layers.0.mlp.up_proj'), false);
    assert.deepEqual(model.notes, ['the weights are quantized already (compressed-tensors)']);
  });
});

describe('any tree of tensors', () => {
  const segment = fc.constantFrom(
    'model',
    'layers',
    '0',
    '1',
    '7',
    'self_attn',
    'q_proj',
    'gate',
    'experts',
    'visual',
    'lm_head',
    'norm',
    'embed_tokens',
    '',
    '__proto__',
    'constructor',
  );
  const leaf = fc.constantFrom('weight', 'bias', 'weight_scale', 'inv_freq', 'x');
  const name = fc.tuple(fc.array(segment, { maxLength: 40 }), leaf).map(([path, last]) => [...path, last].join('.'));
  const tensor = fc.record({
    shape: fc.array(fc.nat(3), { maxLength: 4 }),
    dtype: fc.constantFrom('BF16' as const, 'F32' as const, 'I32' as const),
  });
  const config = fc.record({
    architectures: fc.constantFrom(
      ['FooForCausalLM'],
      ['LlamaForCausalLM'],
      ['Qwen3MoeForCausalLM'],
      ['GPT2LMHeadModel'],
    ),
    num_hidden_layers: fc.constantFrom(undefined, 0, 1, 2, 1e15),
    num_experts: fc.constantFrom(undefined, 0, 2, 1e15),
    tie_word_embeddings: fc.constantFrom(undefined, true, false),
  });

  it('has every tensor in one part, every module in one part, and unique names', async () => {
    await fc.assert(
      fc.asyncProperty(
        config,
        fc.uniqueArray(fc.tuple(name, tensor), { selector: ([n]) => n, maxLength: 30 }),
        async (given, entries) => {
          const tensors = Object.fromEntries([
            ['model.embed_tokens.weight', { shape: [2, 2] }],
            ...entries.filter(([n]) => n !== '__proto__'),
          ]);
          const model = await build(given, tensors).catch((error: unknown) => {
            if (error instanceof TensorpressError && error.code === 'MODEL') return undefined;
            throw error;
          });
          if (model === undefined) return;
          const inParts = model.parts.flatMap(part => part.tensors);
          const head = model.modules.find(m => m.weight?.tiedTo !== undefined);
          const left = [...model.source.tensors.keys()].filter(t => !inParts.includes(t));
          assert.equal(new Set(inParts).size, inParts.length);
          assert.deepEqual(left, left.length === 0 ? [] : [`${head!.name}.weight`]);
          assert.deepEqual(new Set(model.parts.flatMap(p => p.modules)), new Set(model.modules));
          assert.equal(new Set(model.modules.map(m => m.name)).size, model.modules.length);
          // the other way round, an embedding that is no matrix of float numbers has a tied head without a weight
          assert.ok(model.tied || head === undefined);
          for (const { weight } of model.modules)
            assert.ok(weight === undefined || model.source.tensors.has(weight.tensor));
        },
      ),
      { numRuns: 300 },
    );
  });
});
