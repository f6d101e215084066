import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { ARCHITECTURES } from '../../../src/runtime/model/architecture.js';
import { buildModel } from '../../../src/runtime/model/build.js';
import { readConfig } from '../../../src/runtime/model/config.js';
import type { Model } from '../../../src/runtime/model/model.js';
import { goldenJson } from '../../support/golden.js';
import { memorySource } from '../../support/memory-source.js';

interface Tree {
  config: Record<string, unknown>;
  tensors: Record<string, number[]>;
  modules: [name: string, classes: string[]][];
}

/**
 * Tiny random models of every family, made with transformers 5.18.0: `named_modules()` with the classes of each module up to torch's Module,
 * and names and shapes of the tensors that `save_pretrained` writes.
 */
const trees = JSON.parse(readFileSync(new URL('./transformers-trees.json', import.meta.url), 'utf8')) as Record<
  string,
  Tree
>;

function build(config: Record<string, unknown>, tensors: Record<string, number[]>): Promise<Model> {
  return buildModel({
    folder: '/models/tiny',
    name: 'tiny',
    config: readConfig(JSON.stringify(config)),
    source: memorySource(Object.fromEntries(Object.entries(tensors).map(([name, shape]) => [name, { shape }]))),
    companions: [],
  });
}

const listed = ({ modules }: Model) => modules.map(({ name, classes }): [string, readonly string[]] => [name, classes]);

describe('architecture tables', () => {
  it('exist for every family of the recorded trees and for no other', () => {
    assert.deepEqual(
      [...ARCHITECTURES.keys()].sort(),
      Object.keys(trees)
        .map(name => `${name}ForCausalLM`)
        .sort(),
    );
  });

  for (const [family, { config, tensors, modules }] of Object.entries(trees)) {
    const mixture = family === 'Mixtral' || family === 'Qwen3Moe';

    it(`${family}: modules, classes and order are those of transformers`, async () => {
      const model = await build(config, tensors);
      assert.equal(model.known, true);
      assert.deepEqual(model.notes, []);
      // transformers fuses the experts in memory, and calls Mixtral's mixture differently than its checkpoints do
      const expert = /\.experts(\.|$)/;
      const names = (tree: [string, readonly string[]][]) => tree.filter(([name]) => !mixture || !expert.test(name));
      const renamed = modules.map(([name, classes]): [string, string[]] => [
        family === 'Mixtral' ? name.replace(/\.mlp(?=\.|$)/, '.block_sparse_moe') : name,
        classes,
      ]);
      assert.deepEqual(names(listed(model)), names(renamed));
    });

    it(`${family}: every two-dimensional weight of a Linear or Embedding may be quantized, and nothing else`, async () => {
      const model = await build(config, tensors);
      const head = config['tie_word_embeddings'] === true ? ['model.embed_tokens.weight'] : [];
      const expected = Object.entries(tensors)
        .filter(([name, shape]) => shape.length === 2 && !/\.gate\.weight$/.test(name))
        .filter(([name]) => !(family.startsWith('Gemma') && name === 'model.embed_tokens.weight'))
        .map(([name]) => name);
      assert.deepEqual(
        model.modules.flatMap(m => (m.weight ? [m.weight.tensor] : [])).sort(),
        [...expected, ...head].sort(),
      );
    });
  }

  it('names the experts of a mixture as Linears, each gate and up sharing a family', async () => {
    const model = await build(trees['Qwen3Moe']!.config, trees['Qwen3Moe']!.tensors);
    const experts = model.modules.filter(({ name }) => name.includes('.experts.1.'));
    assert.deepEqual(
      experts.map(({ name, classes, family }) => [name.split('.').at(-1), classes[0], family]),
      [
        ['up_proj', 'Linear', 'model.layers.0.mlp.experts.1.gate_up'],
        ['gate_proj', 'Linear', 'model.layers.0.mlp.experts.1.gate_up'],
        ['down_proj', 'Linear', undefined],
      ],
    );
    const mixtral = await build(trees['Mixtral']!.config, trees['Mixtral']!.tensors);
    assert.deepEqual(
      mixtral.modules.filter(m => m.family?.endsWith('.w13')).map(m => m.name.slice(-12)),
      ['experts.0.w3', 'experts.0.w1', 'experts.1.w3', 'experts.1.w1'],
    );
  });

  it('leaves layers of Qwen3-MoE dense where config.json says so', async () => {
    const { config, tensors } = trees['Qwen3']!;
    const moe = { ...config, architectures: ['Qwen3MoeForCausalLM'], num_experts: 4, mlp_only_layers: [0] };
    const model = await build(moe, tensors);
    assert.equal(model.modules.find(m => m.name === 'model.layers.0.mlp')?.classes[0], 'Qwen3MoeMLP');
    const stepped = await build({ ...moe, mlp_only_layers: [], decoder_sparse_step: 2 }, tensors);
    assert.equal(stepped.modules.find(m => m.name === 'model.layers.0.mlp')?.classes[0], 'Qwen3MoeMLP');
  });

  it('golden: the Llama tree is the one that the reference matches patterns against', async function () {
    const golden = goldenJson<{ matching: { modules: [string, string[]][] } }>('compressed-tensors/golden-extra.json');
    if (golden === undefined) this.skip();
    const layer = (i: number) =>
      Object.entries(trees['Llama']!.tensors).map(
        ([name, shape]) => [name.replace('layers.0', `layers.${i}`), shape] as const,
      );
    const model = await build(
      { ...trees['Llama']!.config, num_hidden_layers: 2 },
      Object.fromEntries([...layer(0), ...layer(1)]),
    );
    assert.deepEqual(listed(model), golden.matching.modules);
  });
});
