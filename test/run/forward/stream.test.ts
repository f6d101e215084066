import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { batchesOf } from '../../../src/run/forward/batches.js';
import { openStream } from '../../../src/run/forward/stream.js';
import { openEngine } from '../../../src/runtime/engine/open.js';
import { createReferenceEngine } from '../../../src/runtime/engine/reference/engine.js';
import { normal } from '../../support/numbers.js';
import { tempFolder } from '../../support/temp.js';

const batches = batchesOf([new Int32Array(5), new Int32Array(5), new Int32Array(3)]);
const width = 7;

describe('openStream', () => {
  for (const residentBytes of [0, Infinity]) {
    const where = residentBytes === 0 ? 'in a file' : 'where the engine computes';
    for (const name of ['reference', 'onnx'] as const) {
      it(`gives back what it took, ${where}, on ${name}`, async () => {
        const folder = tempFolder();
        const engine = await openEngine({ engine: name, device: 'cpu', threads: 1 });
        const stream = await openStream(engine, { batches, width, folder, residentBytes });
        const of = (batch: number, seed: number) => {
          const values = normal(batches[batch]!.ids.length * width, seed);
          return engine.precision === 'float64' ? Float64Array.from(values, x => x / 3) : values;
        };
        for (const seed of [1, 2]) {
          for (const b of [1, 0]) {
            await stream.next(b, engine.tensor(of(b, seed + b).slice(), [batches[b]!.ids.length, width]));
          }
          for (const b of [0, 1]) {
            const tensor = await stream.read(b);
            assert.deepEqual(tensor.shape, [batches[b]!.ids.length, width]);
            assert.deepEqual([...(await tensor.read())], [...of(b, seed + b)]);
          }
        }
        await stream.close();
        assert.deepEqual(readdirSync(folder), []);
        await engine.close();
      });
    }
  }

  it('says that its file cannot be written', async () => {
    const engine = createReferenceEngine();
    const folder = join(tempFolder(), 'nowhere');
    await assert.rejects(openStream(engine, { batches, width, folder, residentBytes: 0 }), {
      code: 'DISK',
      message: /the file of hidden states cannot be written: its folder does not exist/,
    });
  });

  it('has a file without a name, of which nothing is left where a process is killed', async function () {
    if (process.platform === 'win32') this.skip();
    const folder = tempFolder();
    const stream = await openStream(createReferenceEngine(), { batches, width, folder, residentBytes: 0 });
    assert.deepEqual(readdirSync(folder), []);
    await stream.close();
  });
});
