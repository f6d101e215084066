import assert from 'node:assert/strict';
import { join } from 'node:path';
import { TensorpressError } from '../../../src/errors.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { ARCHITECTURES } from '../../../src/runtime/model/architecture.js';
import { decoderOf } from '../../../src/runtime/model/decoder.js';
import type { Decoder } from '../../../src/runtime/model/graph.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import type { Model } from '../../../src/runtime/model/model.js';
import { largestError } from '../../support/evaluation.js';
import { referenceCases } from '../../support/reference-models.js';
import { runDecoder } from '../../support/run-decoder.js';
import { tempFolder } from '../../support/temp.js';

const cases = referenceCases();
const engine = createReferenceEngine();

const largest = (values: ArrayLike<number>) => Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** The graphs; of a golden set that is not ours, undefined where a sentence says which field is refused. */
function built(model: Model): Decoder | undefined {
  try {
    return decoderOf(model);
  } catch (error) {
    const ours = process.env['TENSORPRESS_GOLDEN'] === undefined;
    if (ours || !(error instanceof TensorpressError) || error.code !== 'MODEL') throw error;
    const named = Object.keys(model.config).some(key => error.message.includes(key));
    assert.ok(named || /rope_parameters/.test(error.message) || error.place.tensor !== undefined, error.message);
    return undefined;
  }
}

describe('graphs of the architectures, run by their definitions', () => {
  it('golden models are there', function () {
    // of our own there is one at least for each; another set may have what it likes
    if (process.env['TENSORPRESS_GOLDEN'] !== undefined) return this.skip();
    assert.deepEqual(new Set(cases.map(({ architecture }) => architecture)), new Set(ARCHITECTURES.keys()));
  });

  for (const { name, prompts, logits64, perturbation, write } of cases) {
    it(`golden ${name}: logits are those of transformers`, async function () {
      const folder = join(tempFolder(), name);
      await write(folder);
      const model = await loadModel(folder);
      try {
        const decoder = built(model);
        if (decoder === undefined) return this.skip();
        for (const [p, ids] of prompts.entries()) {
          const exact = await runDecoder({ model, decoder, engine, precision: 'float64' }, ids);
          const error = largestError(exact, logits64[p]!) / largest(logits64[p]!);
          assert.ok(error <= 1e-9, `prompt ${p}: float64 logits differ by a relative ${error}`);

          const single = await runDecoder({ model, decoder, engine, precision: 'float32' }, ids);
          const off = largestError(single, logits64[p]!);
          assert.ok(off <= Math.max(2e-4, 10 * perturbation), `prompt ${p}: float32 logits differ by ${off}`);
        }
      } finally {
        await model.source.close();
      }
    });
  }
});
