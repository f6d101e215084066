import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { flow } from '../../src/run/flow.js';

const times = fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)), { maxLength: 12 });
const limits = fc.integer({ min: 1, max: 4 });

describe('flow', () => {
  it('lands in order, keeps to its limit, and gives each piece a slot of its own', async () => {
    await fc.assert(
      fc.asyncProperty(times, limits, async (pieces, limit) => {
        const landed: number[] = [];
        const taken = new Set<number>();
        let landing = 0;
        await flow(pieces.entries(), limit, {
          async load([, [ms]], slot) {
            assert.ok(slot < limit && !taken.has(slot));
            taken.add(slot);
            await wait(ms);
            return slot;
          },
          async work(slot, [i, [, ms]], same) {
            assert.equal(same, slot);
            await wait(ms);
            return i;
          },
          async land(i, slot, [, [, , ms]]) {
            assert.equal(landing++, 0);
            await wait(ms);
            landing--;
            landed.push(i);
            taken.delete(slot);
          },
        });
        assert.deepEqual(landed, [...pieces.keys()]);
      }),
      { numRuns: 30 },
    );
  });

  it('loads a piece while the ones before it are still being read', async () => {
    let loading = 0;
    let most = 0;
    await flow([1, 2, 3, 4, 5], 3, {
      async load() {
        most = Math.max(most, ++loading);
        await wait(5);
        loading--;
      },
      work: () => Promise.resolve(),
      land: () => Promise.resolve(),
    });
    assert.equal(most, 3);
  });

  for (const stage of ['load', 'work', 'land'] as const) {
    it(`ends with the first failure of ${stage}, after what was under way has come to rest`, async () => {
      const landed: number[] = [];
      let busy = 0;
      const attempt = async (here: string, piece: number) => {
        busy++;
        await wait(piece === 3 ? 1 : 4);
        busy--;
        if (here === stage && piece >= 2) throw new Error(`${piece}`);
      };
      const run = flow([0, 1, 2, 3, 4, 5, 6, 7], 3, {
        load: piece => attempt('load', piece),
        work: (_, piece) => attempt('work', piece),
        async land(_result, _loaded, piece) {
          await attempt('land', piece);
          landed.push(piece);
        },
      });
      await assert.rejects(run, { message: '2' });
      assert.deepEqual(landed, [0, 1]);
      assert.equal(busy, 0);
    });
  }
});
