import assert from 'node:assert/strict';
import fc from 'fast-check';
import { passesOf, type Pass, type PassPart } from '../../src/recipe/passes.js';

/** Parts named a, b, c, ... with what each step does in all of them: o observes, e edits. */
function model(parts: string, ...steps: { does: string; flows?: boolean; in?: string }[]): PassPart[] {
  return Array.from(parts, id => id).map(id => ({
    id,
    steps: steps.flatMap(({ does, flows = false, in: where = parts }, index) =>
      where.includes(id) ? [{ step: { index, flows }, observes: does.includes('o'), edits: does.includes('e') }] : [],
    ),
  }));
}

/** `0:v[]w[0]+` is stream 0, no edits in the part, wanted by step 0, pushed on; before a step: `@0`. */
const show = ({ stream, version, wanted, before, pushes }: Pass) =>
  `${stream}:v[${version.join()}]w[${wanted.join()}]${before === null ? '' : `@${before}`}${pushes ? '+' : ''}`;

const passes = (parts: PassPart[], propagate: 'compressed' | 'original' = 'compressed') =>
  Object.fromEntries([...passesOf(parts, propagate).parts].map(([id, all]) => [id, all.map(show)]));

describe('passes', () => {
  it('are none without observations', () => {
    assert.deepEqual(passes(model('ab', { does: 'e', flows: true })), {});
  });

  it('observe and push at once where edits do not flow, and end where nobody looks any more', () => {
    assert.deepEqual(passes(model('abc', { does: 'oe', in: 'bc' })), {
      a: ['0:v[]w[]+'],
      b: ['0:v[]w[0]@0+'],
      c: ['0:v[]w[0]@0'],
    });
  });

  it('push what GPTQ has edited through the edited part', () => {
    assert.deepEqual(passes(model('abcd', { does: 'oe', flows: true, in: 'bc' })), {
      a: ['0:v[]w[]+'],
      b: ['0:v[]w[0]@0', '0:v[0]w[]+'],
      c: ['0:v[]w[0]@0'],
    });
  });

  it('push the part as it was where edits are not propagated', () => {
    assert.deepEqual(passes(model('ab', { does: 'oe', flows: true }), 'original'), {
      a: ['0:v[]w[0]@0+'],
      b: ['0:v[]w[0]@0'],
    });
  });

  it('share a pass between steps that see the same', () => {
    assert.deepEqual(passes(model('ab', { does: 'oe' }, { does: 'oe' })), {
      a: ['0:v[]w[0,1]@0+'],
      b: ['0:v[]w[0,1]@0'],
    });
  });

  it('keep a stream for each set of edits', () => {
    // pruning, then GPTQ: the first sees the model pruned before the part, the second pruned and quantized, in a part that is pruned
    const both = model('ab', { does: 'oe', flows: true }, { does: 'oe', flows: true });
    assert.deepEqual(passes(both), {
      a: ['0:v[]w[0]@0', '1:v[0]w[1]@1', '0:v[0]w[]+', '1:v[0,1]w[]+'],
      b: ['0:v[]w[0]@0', '1:v[0]w[1]@1'],
    });
  });

  it('let data-free edits be seen by the steps behind them', () => {
    const clipped = model('ab', { does: 'e', flows: true }, { does: 'oe' });
    assert.deepEqual(passes(clipped), { a: ['0:v[0]w[1]@1+'], b: ['0:v[0]w[1]@1'] });
  });

  it('give every step the version that one full pass of its own would have shown it', () => {
    const step = fc.record({
      does: fc.constantFrom('o', 'e', 'oe'),
      flows: fc.boolean(),
      in: fc.subarray(['a', 'b', 'c', 'd']).map(p => p.join('')),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 4 }),
        fc.constantFrom('compressed' as const, 'original' as const),
        (steps, propagate) => {
          const parts = model('abcd', ...steps);
          const { streams, parts: found } = passesOf(parts, propagate);
          /** Edits that the hidden states of a stream have behind each part. */
          const state = new Map<number, string[]>(streams.map(({ id }) => [id, []]));
          const edits = (part: PassPart, seen: (index: number) => boolean) =>
            part.steps.filter(s => s.edits && s.step.flows && seen(s.step.index)).map(s => `${part.id}${s.step.index}`);
          for (const [at, part] of parts.entries()) {
            const here = found.get(part.id) ?? [];
            // what has been pushed on is gone
            for (const [i, pass] of here.entries())
              assert.ok(here.slice(0, i).every(({ stream, pushes }) => stream !== pass.stream || !pushes));
            for (const {
              step: { index },
              observes,
            } of part.steps) {
              const own = here.filter(pass => pass.wanted.includes(index));
              assert.equal(own.length, observes ? 1 : 0);
              if (!observes) continue;
              const [pass] = own as [Pass];
              assert.ok(pass.before !== null && pass.before <= index);
              const sees = (other: number) => other < index || (other === index && propagate === 'compressed');
              assert.deepEqual(
                state.get(pass.stream),
                parts.slice(0, at).flatMap(p => edits(p, sees)),
              );
              assert.deepEqual(
                pass.version.map(s => `${part.id}${s}`),
                edits(part, other => other < index),
              );
            }
            for (const pass of here.filter(({ pushes }) => pushes))
              state.set(pass.stream, [...state.get(pass.stream)!, ...pass.version.map(s => `${part.id}${s}`)]);
          }
        },
      ),
    );
  });
});
