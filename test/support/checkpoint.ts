import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorInfo } from '../../src/formats/source.js';
import { openSafetensors } from '../../src/formats/safetensors/source.js';

/** What is held to something else than equal bytes. */
export type Judge = (tensor: TensorInfo) => ((actual: Uint8Array, expected: Uint8Array) => void) | undefined;

/**
 * Tensors by name, dtype, shape and bytes; `quantization_config` deeply, but for the writer's version.
 * @param judge compares the bytes of a tensor in its own way, where it has one
 */
export async function assertSameCheckpoint(
  actual: string,
  expected: string,
  judge: Judge = () => undefined,
): Promise<void> {
  const [a, e] = [await openSafetensors(actual), await openSafetensors(expected)];
  try {
    assert.deepEqual([...a.tensors.keys()].sort(), [...e.tensors.keys()].sort());
    for (const [name, want] of e.tensors) {
      const got = a.tensors.get(name)!;
      assert.deepEqual([got.dtype, got.shape], [want.dtype, want.shape], name);
      const [bytes, others] = [await a.read(name), await e.read(name)];
      const compare = judge(want);
      if (compare === undefined) assert.ok(Buffer.from(bytes).equals(others), `${name} has other bytes`);
      else compare(bytes, others);
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
