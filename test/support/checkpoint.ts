import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors/source.js';

/** Tensors by name, dtype, shape and bytes; `quantization_config` deeply, but for the writer's version. */
export async function assertSameCheckpoint(actual: string, expected: string): Promise<void> {
  const [a, e] = [await openSafetensors(actual), await openSafetensors(expected)];
  try {
    assert.deepEqual([...a.tensors.keys()].sort(), [...e.tensors.keys()].sort());
    for (const [name, want] of e.tensors) {
      const got = a.tensors.get(name)!;
      assert.deepEqual([got.dtype, got.shape], [want.dtype, want.shape], name);
      assert.ok(Buffer.from(await a.read(name)).equals(await e.read(name)), `${name} has other bytes`);
    }
  } finally {
    await a.close();
    await e.close();
  }
  const config = (folder: string) => {
    const { quantization_config: q = {}, tie_word_embeddings } = JSON.parse(
      readFileSync(join(folder, 'config.json'), 'utf8'),
    );
    delete q.version;
    return { q, tie_word_embeddings };
  };
  assert.deepEqual(config(actual), config(expected));
}
