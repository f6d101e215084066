import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeModel } from '../../scripts/bench/model.js';
import type { Report } from '../../src/run/report.js';
import { runSession } from '../../src/run/session.js';
import { cli } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

const RECIPE = `version: 1
modifiers:
  - QuantizationModifier: {scheme: FP8_DYNAMIC, targets: ['re:.*self_attn.*']}
  - QuantizationModifier: {scheme: NVFP4A16, targets: ['re:.*(gate|up)_proj']}
  - QuantizationModifier: {scheme: W4A16_ASYM, targets: ['re:.*down_proj']}
`;

/** What a run found out and wrote: hashes of weights, errors of modules. */
function resultsOf(out: string) {
  const { modules } = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
  const weights = createHash('sha256')
    .update(readFileSync(join(out, 'model.safetensors')))
    .digest('hex');
  return { weights, modules };
}

describe('threads', () => {
  it('change neither bytes nor figures, however many pieces of a weight they share', async () => {
    const folder = tempFolder();
    const [model, recipe] = [join(folder, 'model'), join(folder, 'recipe.yaml')];
    // the larger weights are worked on in 4 pieces
    await writeModel(model, {
      layers: 1,
      hidden: 1024,
      intermediate: 4096,
      heads: 8,
      kvHeads: 4,
      headDim: 128,
      vocabulary: 64,
    });
    writeFileSync(recipe, RECIPE);
    const alone = join(folder, 'alone');
    await runSession({ recipe, model, out: alone, threads: 0 });
    const expected = resultsOf(alone);
    for (const threads of [1, 2, 3, 16]) {
      const out = join(folder, `threads-${threads}`);
      const args = ['apply', recipe, '--model', model, '--out', out, '--threads', String(threads), '--quiet'];
      assert.equal((await cli(args)).exitCode, 0);
      assert.deepEqual(resultsOf(out), expected, `${threads} threads`);
    }
  });
});
