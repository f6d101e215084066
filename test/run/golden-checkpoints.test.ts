import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TensorpressError } from '../../src/errors.js';
import { roundTo, widen, type ModelDType } from '../../src/numerics/dtypes.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { runSession } from '../../src/run/session.js';
import { assertSameCheckpoint, type Judge } from '../support/checkpoint.js';
import { flat, type Nested } from '../support/numbers.js';
import { goldenFile, goldenFolder, goldenJson, goldenList } from '../support/golden.js';
import { tempFolder } from '../support/temp.js';

const ROOT = 'compressed-tensors';

type Scales = Readonly<Record<string, Nested>>;

/** What the recipe leaves open: calibration data, in the order and batches of the reference, and its observer of caches. */
function settings(recipe: string): string[] {
  const data = goldenFile(`${ROOT}/calibration.json`);
  if (data === undefined) return [];
  const path = join(tempFolder(), 'calibration.json');
  writeFileSync(path, data);
  const { batch_size } = JSON.parse(data.toString('utf8')) as { batch_size: number };
  const { modifiers } = parseRecipe(readFileSync(recipe, 'utf8'), { file: recipe }).recipe;
  const observers = modifiers.flatMap((entry, i) =>
    Object.entries(entry as Record<string, { kv_cache_scheme?: { observer?: string } | null }>).flatMap(
      ([type, { kv_cache_scheme: cache }]) =>
        cache == null || cache.observer !== undefined
          ? []
          : [`modifiers.${i}.${type}.kv_cache_scheme.observer=memoryless_minmax`],
    ),
  );
  return [`calibration={dataset: "${path}", shuffle: false, batch_size: ${batch_size}}`, ...observers];
}

/**
 * Scales of values: against those of a float32 forward pass, 1e-5 and one rounding, zero points equal; against the checkpoint, whose forward
 * pass was one of the model's dtype, 1 %, and one more or less.
 */
function judgeScales(scales: Scales): Judge {
  return ({ name, dtype }) => {
    if (scales[name] === undefined) return undefined;
    const exact = flat(scales[name]);
    const T = dtype === 'I8' ? (v: number) => v : roundTo(dtype as ModelDType);
    const [slack, apart] = dtype === 'I8' ? [0, 1] : [1e-5, 0.01];
    return (actual, expected) => {
      const [ours, theirs] = [widen(actual, dtype), widen(expected, dtype)];
      assert.equal(ours.length, exact.length, name);
      ours.forEach((s, i) => {
        const want = exact[i]!;
        assert.ok(T(want * (1 - slack)) <= s && s <= T(want * (1 + slack)), `${name}: ${s}, not ${want}`);
        const off = Math.abs(s - theirs[i]!) / (dtype === 'I8' ? 1 : theirs[i]!);
        assert.ok(off <= apart, `${name}: ${s}, the checkpoint has ${theirs[i]}`);
      });
    };
  };
}

/** Any folder with checkpoints/<case>/{recipe.input.yaml, config.json, model.safetensors} over one tiny_source. */
describe('golden checkpoints', () => {
  const cases = goldenList(`${ROOT}/checkpoints`);
  const scales = goldenJson<Record<string, Scales>>(`${ROOT}/activation_scales_f32.json`) ?? {};
  if (cases.length === 0) {
    it('golden checkpoints', function () {
      this.skip();
    });
  }
  // of those that were made with a forward pass in 16 bits and again in float32, the second has equal bytes; see golden-gptq
  for (const name of cases.filter(one => !cases.includes(`${one}_f32fwd`))) {
    it(`golden checkpoint ${name} has equal bytes`, async function () {
      const source = goldenFolder(`${ROOT}/tiny_source`);
      if (source === undefined) return this.skip();
      const expected = goldenFolder(`${ROOT}/checkpoints/${name}`)!;
      const out = join(tempFolder(), 'out');
      const recipe = join(expected, 'recipe.input.yaml');
      try {
        await runSession({ threads: 0, recipe, model: source, out, set: settings(recipe) });
      } catch (error) {
        // its work does not exist yet: shown as pending, never as passed
        if (error instanceof TensorpressError && error.code === 'NOT_BUILT') return this.skip();
        throw error;
      }
      const judge = judgeScales(scales[name] ?? {});
      await assertSameCheckpoint(out, expected, judge);
      // the recipe that is saved does the same again
      const again = join(tempFolder(), 'again');
      await runSession({ threads: 0, recipe: join(out, 'recipe.yaml'), model: source, out: again });
      await assertSameCheckpoint(again, expected, judge);
    });
  }
});
