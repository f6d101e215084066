import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TensorpressError } from '../../../src/errors.js';
import { companionsOf, loadModel } from '../../../src/runtime/model/load.js';
import { memorySource } from '../../support/memory-source.js';
import { tempFolder } from '../../support/temp.js';

const config = JSON.stringify({ architectures: ['FooForCausalLM'], num_hidden_layers: 1 });
const tensors = {
  'model.embed_tokens.weight': { shape: [4, 2] },
  'model.layers.0.self_attn.q_proj.weight': { shape: [2, 2] },
};

function folderWith(files: Record<string, string | Uint8Array>): string {
  const folder = tempFolder();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/** A safetensors file of zeros. */
function safetensors(shapes: Record<string, { shape: number[] }>): Uint8Array {
  let end = 0;
  const entries = Object.entries(shapes).map(([name, { shape }]) => {
    const begin = end;
    end += 2 * shape.reduce((a, b) => a * b, 1);
    return [name, { dtype: 'BF16', shape, data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(end)]);
}

const fails = (folder: string, message: RegExp, hint: RegExp) =>
  assert.rejects(loadModel(folder), (error: unknown) => {
    assert.ok(error instanceof TensorpressError, String(error));
    assert.equal(error.code, 'MODEL');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint);
    return true;
  });

describe('loadModel', () => {
  it('opens a folder', async () => {
    const folder = folderWith({
      'config.json': config,
      'model.safetensors': safetensors(tensors),
      'tokenizer.json': '{}',
      'notes.md': '',
    });
    const model = await loadModel(folder);
    assert.deepEqual([model.folder, model.name, model.architecture], [folder, basename(folder), 'FooForCausalLM']);
    assert.deepEqual(model.companions, ['tokenizer.json']);
    assert.deepEqual(
      model.modules.flatMap(m => (m.weight ? [m.name] : [])),
      ['model.embed_tokens', 'model.layers.0.self_attn.q_proj', 'lm_head'],
    );
    await model.source.close();
  });

  it('takes a name and weights from elsewhere', async () => {
    const model = await loadModel(folderWith({ 'config.json': config }), {
      name: 'org/foo',
      source: memorySource(tensors),
    });
    assert.equal(model.name, 'org/foo');
    assert.equal(model.source.tensors.size, 2);
  });

  it('says what is wrong with a folder, and the way out', async () => {
    await fails('/no/such/folder', /^there is no model folder \/no\/such\/folder$/, /org\/name to download/);
    const gguf = join(folderWith({ 'foo.gguf': '', 'model.safetensors': '' }), 'foo.gguf');
    await fails(gguf, /is not a folder/, /GGUF cannot be the source/);
    await fails(join(gguf, '..', 'model.safetensors'), /is not a folder/, /the folder that holds config\.json/);
    await fails(folderWith({}), /holds no config\.json/, /that a Hugging Face model was downloaded to/);
    await fails(folderWith({ 'foo.gguf': '' }), /holds no config\.json/, /GGUF/);
    await fails(folderWith({ 'adapter_config.json': '' }), /holds no config\.json/, /merge it/);
    await fails(folderWith({ 'params.json': '' }), /holds no config\.json/, /Hugging Face version/);
    await fails(folderWith({ 'config.json': config }), /holds neither model\.safetensors/, /./);
    await fails(
      folderWith({ 'config.json': config, 'pytorch_model.bin': '' }),
      /holds neither/,
      /pytorch_model\.bin.*safetensors/,
    );
    await fails(folderWith({ 'config.json': '{' }), /config\.json is not valid JSON/, /./);
    await fails(folderWith({ 'config.json': Buffer.alloc(16_000_001, ' ') }), /too large/, /./);
    await fails(
      folderWith({ 'config.json': config, 'model.safetensors': safetensors({}) }),
      /the weights hold no tensors/,
      /download/,
    );
    const folder = folderWith({});
    mkdirSync(join(folder, 'config.json'));
    await fails(folder, /config\.json cannot be read/, /check the file/);
    const dangling = folderWith({});
    symlinkSync('nowhere', join(dangling, 'config.json'));
    await fails(dangling, /config\.json does not exist/, /incomplete/);
  });
});

describe('companionsOf', () => {
  it('lists files and links to files, no folders', async () => {
    const folder = folderWith({ 'config.json': config, 'tokenizer.json': '{}', blob: '{}' });
    symlinkSync('blob', join(folder, 'vocab.json'));
    symlinkSync('nowhere', join(folder, 'merges.txt'));
    mkdirSync(join(folder, 'tokenizer_files'));
    assert.deepEqual(await companionsOf(folder), ['tokenizer.json', 'vocab.json']);
  });
});
