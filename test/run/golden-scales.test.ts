import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors/source.js';
import { roundTo, widen } from '../../src/numerics/dtypes.js';
import { runSession } from '../../src/run/session.js';
import { goldenFolder, goldenJson } from '../support/golden.js';
import { tempFolder } from '../support/temp.js';

const ROOT = 'compressed-tensors';

/** Static scales of activations, keys and values: those of a float32 forward pass over the same tokens, rounded once to bfloat16. */
describe('golden scales', () => {
  const scales = goldenJson<Record<string, Record<string, unknown[]>>>(`${ROOT}/activation_scales_f32.json`) ?? {};
  const calibration = goldenJson<{ batch_size: number; input_ids: number[][] }>(`${ROOT}/calibration.json`);
  const source = goldenFolder(`${ROOT}/tiny_source`);
  if (calibration === undefined || source === undefined || Object.keys(scales).length === 0) {
    it('golden scales', function () {
      this.skip();
    });
    return;
  }
  for (const [name, expected] of Object.entries(scales)) {
    it(`golden scales of ${name} are equal, and all other tensors`, async function () {
      const golden = goldenFolder(`${ROOT}/checkpoints/${name}`);
      if (golden === undefined) return this.skip();
      const recipe = join(golden, 'recipe.input.yaml');
      const dataset = join(tempFolder(), 'calibration.json');
      writeFileSync(dataset, JSON.stringify(calibration));
      const out = join(tempFolder(), 'out');
      const set = [`calibration.dataset=${dataset}`, 'calibration.shuffle=false'];
      set.push(`calibration.batch_size=${calibration.batch_size}`);
      // where a recipe names no observer of the cache, the reference takes the last batch
      if (!/kv_cache_scheme:[^}]*observer/s.test(readFileSync(recipe, 'utf8')))
        set.push('modifiers.0.QuantizationModifier.kv_cache_scheme.observer=memoryless_minmax');
      await runSession({ threads: 0, recipe, model: source, out, set });

      const [ours, theirs] = [await openSafetensors(out), await openSafetensors(golden)];
      assert.deepEqual([...ours.tensors.keys()].sort(), [...theirs.tensors.keys()].sort());
      for (const [tensor, { dtype, shape }] of theirs.tensors) {
        const bytes = await ours.read(tensor);
        assert.deepEqual([ours.tensors.get(tensor)!.dtype, ours.tensors.get(tensor)!.shape], [dtype, shape], tensor);
        if (!(tensor in expected)) {
          assert.ok(Buffer.from(bytes).equals(await theirs.read(tensor)), `${tensor} has other bytes`);
          continue;
        }
        const T = dtype === 'BF16' ? roundTo(dtype) : (v: number) => v;
        const wanted = expected[tensor]!.flat(2) as number[];
        const values = widen(bytes, dtype);
        assert.equal(values.length, wanted.length);
        wanted.forEach((v, i) => {
          const near = [T(v * (1 - 1e-5)), T(v), T(v * (1 + 1e-5))];
          assert.ok(near.includes(values[i]!), `${tensor}: ${values[i]}, expected ${T(v)}`);
        });
      }
      await ours.close();
      await theirs.close();
    });
  }
});
