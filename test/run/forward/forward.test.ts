import assert from 'node:assert/strict';
import { batchesOf } from '../../../src/run/forward/batches.js';
import { embedded, type Forward } from '../../../src/run/forward/forward.js';
import { openHead, visitPieces } from '../../../src/run/forward/head.js';
import { runnable } from '../../../src/run/forward/runnable.js';
import type { Engine } from '../../../src/runtime/engine/engine.js';
import { createOnnxEngine } from '../../../src/runtime/engine/onnx/engine.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import type { Model } from '../../../src/runtime/model/model.js';
import { largestError } from '../../support/evaluation.js';
import { referenceCases } from '../../support/reference-models.js';
import { runDecoder } from '../../support/run-decoder.js';
import { tempFolder } from '../../support/temp.js';
import { tinyLlama, writeModel } from '../../support/tiny-model.js';

/** Logits of all batches, and what was told on the way. */
async function forward(model: Model, engine: Engine, rows: readonly number[][], options: Partial<Forward> = {}) {
  const parts: string[] = [];
  const { decoder, reader } = await runnable(model);
  const batches = batchesOf(rows.map(row => Int32Array.from(row)));
  const run: Forward = { engine, decoder, reader, batches, tick: ({ part }) => parts.push(part), ...options };
  const { stream, next } = await embedded(run);
  for (const _ of decoder.layers) await next();
  const logits = batches.map(({ ids }) => new Float64Array(ids.length * decoder.vocabulary));
  const pieces: number[] = [];
  const head = await openHead(run, stream, { wanted: ['output'] });
  await visitPieces([head], [[...batches.keys()]], async (batch, from, count) => {
    pieces.push(count);
    const found = await (await head.run(batch)).output!.read();
    for (let t = 0; t < batches[batch]!.ids.length; t++) {
      logits[batch]!.set(found.subarray(t * count, (t + 1) * count), t * decoder.vocabulary + from);
    }
  });
  await stream.close();
  return { logits, parts, pieces };
}

const ROWS = [
  [1, 5, 9, 2, 7],
  [3, 3, 8, 1, 0],
  [4, 6],
];

describe('a forward pass', () => {
  let llama: Model;
  before(async () => (llama = await loadModel(await writeModel(tinyLlama({ sigma: 0.3 })))));
  after(() => llama.source.close());

  it('goes part by part, all batches through each', async () => {
    const { parts } = await forward(llama, createReferenceEngine(), ROWS);
    assert.deepEqual(
      parts,
      ['embedding', 'layers.0', 'layers.1'].flatMap(part => [part, part]),
    );
  });

  it('a tick can stop it', async () => {
    const stop = new Error('stop');
    const tick = ({ part }: { part: string }) => {
      if (part === 'layers.1') throw stop;
    };
    await assert.rejects(forward(llama, createReferenceEngine(), ROWS, { tick }), stop);
  });

  it('gives equal logits whether hidden states lie in memory or in a file', async () => {
    const engine = await createOnnxEngine({ device: 'cpu', threads: 1 });
    const folder = tempFolder();
    const resident = await forward(llama, engine, ROWS);
    const spilled = await forward(llama, engine, ROWS, { storage: { folder, residentBytes: 0 } });
    assert.deepEqual(spilled.logits, resident.logits);
    await engine.close();
  });

  it('gives the same logits when the head is read in pieces', async () => {
    const engine = createReferenceEngine();
    const whole = await forward(llama, engine, ROWS);
    const pieces = await forward(llama, engine, ROWS, { headElements: 64 * 33 });
    assert.deepEqual(whole.pieces, [80, 80]);
    assert.deepEqual(pieces.pieces, [33, 33, 33, 33, 14, 14]);
    assert.deepEqual(pieces.logits, whole.logits);
  });

  it('says which token is outside of the vocabulary', () =>
    assert.rejects(forward(llama, createReferenceEngine(), [[1, 80]]), {
      code: 'MODEL',
      message: /token 80 is outside of the vocabulary of 80/,
    }));

  const cases = referenceCases().filter(({ name }) =>
    /^(llama-plain|gemma3-plain|mixtral-plain|qwen3-moe-step)$/.test(name),
  );
  if (cases.length === 0) {
    it('golden: equals the whole model at once', function () {
      this.skip();
    });
  }
  for (const reference of cases) {
    it(`golden: equals the whole model at once, experts for all tokens, in double precision: ${reference.name}`, async () => {
      const folder = tempFolder();
      await reference.write(folder);
      const model = await loadModel(folder);
      const engine = createReferenceEngine();
      const rows = [reference.prompts[0]!, reference.prompts[0]!.toReversed(), reference.prompts[1]!].map(row => [
        ...row,
      ]);
      for (const residentBytes of [Infinity, 0]) {
        const storage = { folder: tempFolder(), residentBytes };
        const { logits } = await forward(model, engine, rows, { storage });
        const { decoder } = await runnable(model);
        const whole: number[] = [];
        for (const row of rows) {
          whole.push(...(await runDecoder({ model, decoder, engine, precision: 'float64' }, row)));
        }
        const scale = Math.max(...whole.map(Math.abs));
        const error = largestError(
          logits.flatMap(batch => [...batch]),
          whole,
        );
        assert.ok(error < 1e-12 * scale, `${error}`);
      }
      await model.source.close();
    });
  }
});
