import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { EngineName } from '../../../src/runtime/engine/engine.js';
import { openEngine } from '../../../src/runtime/engine/open.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import { openGenerator, type GenerateOptions } from '../../../src/run/forward/generate.js';
import { residentBytes } from '../../../src/run/forward/resident.js';
import { runnable } from '../../../src/run/forward/runnable.js';
import { logits, tokenFile } from '../../support/evaluation.js';
import { goldenFolder, goldenJson } from '../../support/golden.js';
import { referenceCases } from '../../support/reference-models.js';
import { ROOT } from '../../support/run-cli.js';
import { tempFolder } from '../../support/temp.js';
import { random, tinyLlama, writeModel, type TinyModel, type TinyTensor } from '../../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');

type Asked = GenerateOptions & { readonly engine?: EngineName };

async function generate(
  folder: string,
  prompts: readonly (readonly number[])[],
  { engine: name = 'onnx', ...options }: Asked,
): Promise<number[][]> {
  const model = await loadModel(folder);
  const engine = await openEngine({ engine: name, threads: 1 });
  try {
    const generator = openGenerator({ engine, ...(await runnable(model)) });
    const made: number[][] = [];
    for (const prompt of prompts) made.push(await generator.generate(prompt, options));
    generator.close();
    return made;
  } finally {
    await engine.close();
    await model.source.close();
  }
}

const argmax = (row: Float32Array) => row.indexOf(row.reduce((a, b) => Math.max(a, b)));

/** What a model without a cache says after each token of a text from the prompt's last on: by causality what it would say of each prefix. */
async function recomputed(folder: string, prompt: readonly number[], made: readonly number[], engine: EngineName) {
  const text = [...prompt, ...made];
  const { rows } = await logits({ model: folder, data: tokenFile([text]), engine });
  const vocabulary = rows[0]!.length / text.length;
  return made.map((_, i) => argmax(rows[0]!.subarray((prompt.length + i - 1) * vocabulary).subarray(0, vocabulary)));
}

async function check(folder: string, prompts: readonly (readonly number[])[], options: Asked): Promise<number[][]> {
  const made = await generate(folder, prompts, options);
  for (const [i, prompt] of prompts.entries()) {
    assert.equal(made[i]!.length, options.tokens);
    assert.deepEqual(made[i], await recomputed(folder, prompt, made[i]!, options.engine ?? 'onnx'));
  }
  return made;
}

/** Tokens up to which angles do not depend on the length of the sequence, where they do beyond. */
function lengthLimit(config: Readonly<Record<string, unknown>>): number | undefined {
  const rope = (config['rope_parameters'] ?? config['rope_scaling'] ?? {}) as Record<string, unknown>;
  if (!['dynamic', 'longrope'].includes(String(rope['rope_type'] ?? rope['type']))) return undefined;
  const original = config['original_max_position_embeddings'] ?? rope['original_max_position_embeddings'];
  return Number(original ?? config['max_position_embeddings']);
}

describe('openGenerator', () => {
  it('gives the tokens that recomputation gives: 200 of the example model', async () => {
    const [made] = await check(EXAMPLE, [[11, 500, 42, 7]], { tokens: 200 });
    assert.ok(new Set(made).size > 10);
  });

  it('whose last ones differ from those of a model that sees each token alone', async () => {
    const [made] = await generate(EXAMPLE, [[11, 500, 42, 7]], { tokens: 30 });
    const alone: number[] = [];
    for (const token of [7, ...made!.slice(0, -1)])
      alone.push(...(await generate(EXAMPLE, [[token]], { tokens: 1 }))[0]!);
    assert.notDeepEqual(made, alone);
  });

  it('stops at a token that ends a text, and counts what it makes', async () => {
    const [made] = await generate(EXAMPLE, [[11, 500, 42, 7]], { tokens: 12 });
    const end = made![5]!;
    let count = 0;
    const [stopped] = await generate(EXAMPLE, [[11, 500, 42, 7]], { tokens: 12, eos: [end], onToken: () => count++ });
    assert.deepEqual(stopped, made!.slice(0, made!.indexOf(end) + 1));
    assert.equal(count, stopped!.length);
    assert.deepEqual(await generate(EXAMPLE, [[1]], { tokens: 0 }), [[]]);
  });

  it('takes the lowest id of equally likely tokens', async () => {
    const model = tinyLlama();
    const head = model.tensors['lm_head.weight']!;
    const folder = await writeModel({
      ...model,
      tensors: { ...model.tensors, 'lm_head.weight': { ...head, bytes: new Uint8Array(head.bytes.length) } },
    });
    assert.deepEqual(await generate(folder, [[5, 6]], { tokens: 3 }), [[0, 0, 0]]);
  });

  it('texts do not know of each other', async () => {
    const prompts = [[1, 2, 3], [60], [4, 9, 9, 9, 31]];
    const folder = await writeModel(tinyLlama({ sigma: 0.3 }));
    const together = await generate(folder, prompts, { tokens: 10 });
    const alone = await Promise.all(prompts.map(async prompt => (await generate(folder, [prompt], { tokens: 10 }))[0]));
    assert.deepEqual(together, alone);
  });

  it('works on the reference engine, in double precision', async () => {
    await check(await writeModel(tinyLlama({ sigma: 0.3 })), [[1, 2, 3], [60]], { tokens: 8, engine: 'reference' });
  });

  const cases = referenceCases();
  if (cases.length === 0) {
    it('golden models of every architecture', function () {
      this.skip();
    });
  }
  for (const reference of cases) {
    it(`golden model ${reference.name}: 20 tokens`, async () => {
      const folder = tempFolder();
      await reference.write(folder);
      const [short, long] = reference.prompts as [number[], number[]];
      const limit = lengthLimit(reference.config);
      if (limit === undefined) await check(folder, [long], { tokens: 20 });
      else await check(folder, [short], { tokens: limit - short.length });
    });
  }

  for (const name of ['kv_int8', 'kv_only']) {
    it(`golden checkpoint ${name}: keys and values are quantized once`, async function () {
      const folder = goldenFolder(`compressed-tensors/checkpoints/${name}`);
      const prompts = goldenJson<{ prompts: number[][] }>('compressed-tensors/prompts.json')?.prompts;
      if (folder === undefined || prompts === undefined) return this.skip();
      await check(folder, [prompts[0]!.slice(0, 8)], { tokens: 20 });
    });
  }
});

describe('residentBytes', () => {
  const bytesOf = async (model: TinyModel) => {
    const opened = await loadModel(await writeModel(model));
    const { decoder, reader } = await runnable(opened);
    const bytes = await residentBytes(decoder, reader);
    await opened.source.close();
    return bytes;
  };
  const elements = ({ tensors }: TinyModel, skip: RegExp) =>
    Object.entries(tensors)
      .filter(([name]) => !skip.test(name))
      .reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0);

  it('are those of all weights but the embedding, in float32', async () => {
    const model = tinyLlama();
    assert.equal(await bytesOf(model), 4 * elements(model, /embed_tokens/));
  });

  it('are those of the embedding where the head shares it', async () => {
    const model = tinyLlama({ tied: 'absent' });
    assert.equal(await bytesOf(model), 4 * elements(model, /^$/));
  });

  it('are those of all experts, too', async () => {
    const { config, tensors } = tinyLlama();
    const experts = Object.fromEntries(
      Object.entries(tensors).flatMap(([name, tensor]): [string, TinyTensor][] => {
        const [, layer, , projection] = /^(.*)\.mlp\.((gate|up|down)_proj)/.exec(name) ?? [];
        if (layer === undefined) return [[name, tensor]];
        const named = { gate: 'w1', up: 'w3', down: 'w2' }[projection!]!;
        return [0, 1, 2].map(e => [`${layer}.block_sparse_moe.experts.${e}.${named}.weight`, tensor]);
      }),
    );
    const gates = [0, 1].map(layer => [`model.layers.${layer}.block_sparse_moe.gate.weight`, random([3, 64], layer)]);
    const model = {
      config: { ...config, architectures: ['MixtralForCausalLM'], model_type: 'mixtral', num_local_experts: 3 },
      tensors: { ...experts, ...(Object.fromEntries(gates) as TinyModel['tensors']) },
    };
    assert.equal(await bytesOf(model), 4 * elements(model, /embed_tokens/));
  });
});
