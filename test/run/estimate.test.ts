import assert from 'node:assert/strict';
import { checkpointOutput } from '../../src/outputs/checkpoint.js';
import { compile } from '../../src/recipe/compile.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { estimate } from '../../src/run/estimate.js';
import { loadModel } from '../../src/runtime/model/load.js';
import { memorySource } from '../support/memory-source.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

/** The shapes of a model without its bytes. */
async function planOf(options: string, size: { hidden: number; layers?: number }) {
  const { config, tensors } = tinyLlama({ layers: 1, hidden: 64 });
  const grow = size.hidden / 64;
  const shapes = Object.entries(tensors).map(
    ([name, { shape }]) => [name, { shape: shape.map(n => n * grow) }] as const,
  );
  const folder = await writeModel({ config, tensors });
  const model = await loadModel(folder, { source: memorySource(Object.fromEntries(shapes)) });
  return compile(parseRecipe(`version: 1\nmodifiers:\n  - QuantizationModifier: ${options}\n`), model);
}

/** A clock that goes on by a millisecond whenever it is looked at. */
const ticking = () => {
  let time = 0;
  return () => ++time;
};

describe('estimate', () => {
  const w4 = '{config_groups: {g: {targets: [Linear], weights: {num_bits: 4, group_size: 32}}}}';

  it('grows with the model, and not with the time of day', async () => {
    const [small, large] = [await planOf(w4, { hidden: 64 }), await planOf(w4, { hidden: 256 })];
    const seconds = async (plan: typeof small) =>
      (await estimate(plan, [checkpointOutput(plan, 'out')], ticking())).seconds;
    const ratio = (await seconds(large)) / (await seconds(small));
    assert.ok(ratio > 12 && ratio < 20, `16 times the elements take ${ratio} times as long`);
  });

  it('counts the bytes of all outputs', async () => {
    const plan = await planOf(w4, { hidden: 64 });
    const outputs = [checkpointOutput(plan, 'a'), checkpointOutput(plan, 'b', 1000)];
    const bytes = outputs.flatMap(({ files }) => files).reduce((sum, file) => sum + file.bytes, 0);
    assert.equal((await estimate(plan, outputs, ticking())).diskBytes, bytes);
  });

  it('knows that a search takes longer than a look', async () => {
    const time = async (options: string) => {
      const plan = await planOf(options, { hidden: 1024 });
      return (await estimate(plan, [], () => performance.now())).seconds;
    };
    const [looked, searched] = [
      await time(w4),
      await time(w4.replace('group_size: 32', 'group_size: 32, observer: mse')),
    ];
    assert.ok(searched > 2 * looked, `${searched} s against ${looked} s`);
  });

  it('takes any scheme, and none', async () => {
    const groups = [
      'num_bits: 8, type: float, strategy: block, block_structure: [40, 36]',
      'num_bits: 3, strategy: tensor, symmetric: false',
      'num_bits: 4, group_size: 64, actorder: group',
    ];
    for (const weights of groups) {
      const plan = await planOf(`{config_groups: {g: {targets: ["re:.*q_proj"], weights: {${weights}}}}}`, {
        hidden: 64,
      });
      assert.ok((await estimate(plan, [], ticking())).seconds > 0, weights);
    }
    const nothing = await estimate(await planOf('{scheme: UNQUANTIZED}', { hidden: 64 }), [], ticking());
    assert.ok(nothing.seconds > 0 && nothing.seconds < 1, 'copying takes its time too');
  });
});
