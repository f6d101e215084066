import assert from 'node:assert/strict';
import { buildModel } from '../../../src/runtime/model/build.js';
import { readConfig } from '../../../src/runtime/model/config.js';
import { memorySource, type MemoryTensor } from '../../support/memory-source.js';

const shape = [6, 4];
const ones = new Uint8Array(48).fill(1);

function build(config: object, tensors: Record<string, MemoryTensor>) {
  const layer = { 'layers.0.attn.q_proj.weight': { shape: [4, 4] } };
  return buildModel({
    folder: '/models/foo',
    name: 'foo',
    config: readConfig(JSON.stringify({ architectures: ['FooForCausalLM'], ...config })),
    source: memorySource({ ...layer, ...tensors }),
    companions: [],
  });
}

describe('tied embeddings', () => {
  it('give the head the tensor of the embedding, and leave it in the part of the embedding', async () => {
    for (const config of [{ tie_word_embeddings: true }, {}]) {
      const model = await build(config, { 'embed_tokens.weight': { shape } });
      const head = model.modules.find(m => m.name === 'lm_head')!;
      assert.deepEqual(head.classes, ['Linear', 'Module']);
      assert.deepEqual(head.weight, {
        tensor: 'embed_tokens.weight',
        rows: 6,
        columns: 4,
        dtype: 'BF16',
        tiedTo: 'embed_tokens',
      });
      assert.equal(model.tied, true);
      assert.deepEqual(
        model.parts.map(p => [p.id, p.tensors, p.modules.some(m => m === head)]),
        [
          ['embedding', ['embed_tokens.weight'], false],
          ['layers.0', ['layers.0.attn.q_proj.weight'], false],
          ['head', [], true],
        ],
      );
    }
  });

  it('are not assumed where config.json says no, where there is a head, or where the architecture has none', async () => {
    const heads = async (config: object, tensors: Record<string, MemoryTensor>) => {
      const model = await build(config, tensors);
      return [model.tied, model.modules.find(m => m.name === 'lm_head')?.weight?.tensor];
    };
    assert.deepEqual(await heads({ tie_word_embeddings: false }, { 'embed_tokens.weight': { shape } }), [
      false,
      undefined,
    ]);
    assert.deepEqual(await heads({}, { 'embed_tokens.weight': { shape }, 'lm_head.weight': { shape } }), [
      false,
      'lm_head.weight',
    ]);
    assert.deepEqual(await heads({ architectures: ['FooModel'] }, { 'embed_tokens.weight': { shape } }), [
      false,
      undefined,
    ]);
    assert.deepEqual(await heads({ tie_word_embeddings: true }, { 'lm_head.weight': { shape } }), [
      false,
      'lm_head.weight',
    ]);
  });

  it('leave out a head that repeats the embedding', async () => {
    const model = await build(
      { tie_word_embeddings: true },
      { 'embed_tokens.weight': { shape, bytes: ones }, 'lm_head.weight': { shape, bytes: ones.slice() } },
    );
    assert.equal(model.tied, true);
    assert.equal(model.modules.at(-1)?.weight?.tensor, 'embed_tokens.weight');
    assert.deepEqual(model.parts.at(-1)?.tensors, []);
    assert.equal(
      model.notes.at(-1),
      'lm_head.weight repeats embed_tokens.weight, to which config.json ties it, and is left out',
    );
  });

  it('are kept apart where the file holds two different tensors', async () => {
    const other = ones.slice();
    other[47] = 2;
    for (const head of [{ shape, bytes: other }, { shape: [7, 4] }, { shape, dtype: 'F16' as const, bytes: ones }]) {
      const model = await build(
        { tie_word_embeddings: true },
        { 'embed_tokens.weight': { shape, bytes: ones }, 'lm_head.weight': head },
      );
      assert.equal(model.tied, false);
      assert.equal(model.modules.at(-1)?.weight?.tensor, 'lm_head.weight');
      assert.match(model.notes.at(-1)!, /ties lm_head.weight to embed_tokens.weight, but the two differ/);
    }
  });

  it('are known by their codes where those are packed, and not by equal codes alone', async () => {
    const packed = { shape: [6, 1], dtype: 'I32' as const, bytes: new Uint8Array(24) };
    const config = { tie_word_embeddings: true, quantization_config: { quant_method: 'compressed-tensors' } };
    const tied = await build(config, { 'embed_tokens.weight_packed': packed });
    assert.deepEqual([tied.tied, tied.modules.at(-1)?.name], [true, 'lm_head']);
    const both = { 'embed_tokens.weight_packed': packed, 'lm_head.weight_packed': packed };
    assert.equal((await build(config, both)).tied, false);
  });

  it('name the head where the body is', async () => {
    const model = await build(
      { architectures: ['FooForConditionalGeneration'] },
      {
        'language_model.model.embed_tokens.weight': { shape },
        'language_model.model.layers.0.q.weight': { shape: [99, 4] },
      },
    );
    assert.equal(model.modules.find(m => m.weight?.tiedTo !== undefined)?.name, 'language_model.lm_head');
  });
});
