import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { openSafetensors } from '../../src/formats/safetensors/source.js';
import { formulaValues, referenceCases, uniform } from './reference-models.js';
import { tempFolder } from './temp.js';

const cases = referenceCases();

describe('reference models', () => {
  it('uniform values are known numbers', () => {
    // from scripts/reference/architectures.py
    assert.deepEqual(
      [...uniform('model.norm.weight', 4)],
      [-0.475436270236969, 0.19866180419921875, -0.33349359035491943, -0.057763636112213135],
    );
  });

  it('uniform values do not depend on how many are asked for, and stay in [-0.5, 0.5)', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(200), fc.nat(200), (name, a, b) => {
        const [few, many] = [uniform(name, Math.min(a, b)), uniform(name, Math.max(a, b))];
        assert.deepEqual(few, many.subarray(0, few.length));
        assert.ok(many.every(u => u >= -0.5 && u < 0.5 && Number.isInteger(u * 2 ** 24)));
      }),
    );
  });

  it('golden weights are those of the reference, bit by bit', function () {
    if (cases.length === 0) this.skip();
    for (const { name, tensors } of cases)
      for (const tensor of tensors)
        assert.equal(sha256(formulaValues(tensor)), tensor.sha256, `${name}: ${tensor.name}`);
  });

  it('golden logits have one row per token', function () {
    if (cases.length === 0) this.skip();
    for (const { name, config, prompts, logits64, perturbation } of cases) {
      const vocabulary = config['vocab_size'] as number;
      assert.ok(perturbation > 0, name);
      for (const [n, ids] of prompts.entries()) {
        assert.ok(
          ids.every(id => id >= 0 && id < vocabulary),
          name,
        );
        assert.equal(logits64[n]!.length, ids.length * vocabulary, name);
      }
    }
  });

  it('golden model is written as a folder that opens', async function () {
    const reference = cases.find(({ architecture }) => architecture === 'MixtralForCausalLM');
    if (reference === undefined) return this.skip();
    const folder = join(tempFolder(), 'model');
    await reference.write(folder);
    assert.deepEqual(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')), reference.config);
    const source = await openSafetensors(folder);
    try {
      assert.deepEqual([...source.tensors.keys()].sort(), reference.tensors.map(({ name }) => name).sort());
      for (const { name, shape, sha256: expected } of reference.tensors) {
        assert.deepEqual(source.tensors.get(name)!.shape, shape, name);
        assert.equal(sha256(await source.read(name)), expected, name);
      }
    } finally {
      await source.close();
    }
  });
});

function sha256(data: Uint8Array | Float32Array): string {
  return createHash('sha256').update(data).digest('hex');
}
