import assert from 'node:assert/strict';
import fc from 'fast-check';
import { actorderOf, normalizeArgs, sameArgs, serializeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { OBSERVERS } from '../../src/schemes/observer-names.js';
import { goldenJson } from '../support/golden.js';

interface Case {
  input: Record<string, unknown>;
  ok: boolean;
  serialized?: Record<string, unknown>;
}

/** Accepted by compressed-tensors, refused by tensorpress: other widths of integers, and floats with a zero point. */
const refused = ({ num_bits = 8, type = 'int', symmetric = true }: Record<string, unknown>): boolean =>
  String(type).toLowerCase() === 'int' ? !(Number(num_bits) >= 1 && Number(num_bits) <= 8) : symmetric === false;

const accept = (input: Record<string, unknown>): QuantizationArgs => {
  const { args, problems } = normalizeArgs(input);
  assert.deepEqual(problems, undefined);
  return args;
};

/** `path: message` of every problem. */
const complaints = (input: unknown): string[] =>
  (normalizeArgs(input).problems ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('quantization args', () => {
  const cases = goldenJson<{ quant_args?: Case[] }>('compressed-tensors/golden-extra.json')?.quant_args;
  if (cases === undefined)
    it('golden quant_args', function () {
      this.skip();
    });
  cases?.forEach(({ input, ok, serialized }) => {
    const expected = ok && !refused(input);
    it(`golden quant_args ${expected ? 'accepts' : 'rejects'} ${JSON.stringify(input)}`, () => {
      const { args, problems } = normalizeArgs(input);
      if (!expected) return assert.ok(problems!.length > 0 && problems!.every(({ message }) => message !== ''));
      assert.equal(problems, undefined);
      assert.deepEqual(serializeArgs(args), serialized);
      assert.deepEqual(Object.keys(serializeArgs(args)).sort(), Object.keys(serialized!).sort());
    });
  });

  it('reports everything at once, each where it is', () => {
    const found = complaints({
      num_bit: 4,
      type: 'bool',
      symmetric: 'no',
      group_size: -2,
      observer: 'mseee',
      strategy: 'row',
    });
    assert.deepEqual(
      found.map(text => text.split(':')[0]),
      ['num_bit', 'type', 'symmetric', 'group_size', 'strategy', 'observer'],
    );
  });

  it('says what is wrong and how to mend it', () => {
    const sentences: [Record<string, unknown>, string][] = [
      [{ num_bits: 16 }, 'num_bits: num_bits must be 1 to 8 for type int, not 16'],
      [{ num_bits: 6, type: 'float' }, 'num_bits: num_bits must be 4 or 8 for type float, not 6'],
      [{ num_bits: 3.5 }, 'num_bits: num_bits must be a whole number, not 3.5'],
      [{ type: 'float', symmetric: false }, 'symmetric: float types have no zero point'],
      [{ strategy: 'group' }, 'strategy: strategy group needs a group_size above 0'],
      [{ strategy: 'channel', group_size: 64 }, 'group_size: strategy channel takes no group_size'],
      [{ strategy: 'block' }, 'strategy: strategy block needs a block_structure'],
      [{ block_structure: [2, 2] }, 'block_structure: strategy tensor takes no block_structure'],
      [{ strategy: 'token' }, 'strategy: strategy token needs dynamic: true'],
      [{ strategy: 'channel', dynamic: true }, 'dynamic: strategy channel cannot be dynamic'],
      [
        { strategy: 'group', group_size: 16, dynamic: 'local' },
        'dynamic: dynamic: local needs strategy tensor_group, not group',
      ],
      [{ strategy: 'channel', actorder: 'dynamic' }, 'actorder: actorder dynamic needs strategy group, not channel'],
      [{ scale_dtype: 'torch.uint8' }, 'scale_dtype: power-of-two scales (torch.uint8) belong to type float'],
      [{ symmetric: false, zp_dtype: 'uint8' }, 'zp_dtype: zero points of integers are torch.int8, not torch.uint8'],
      [
        { observer: 'minmax', observer_kwargs: { averaging_constant: 2 } },
        'observer_kwargs.averaging_constant: averaging_constant must be a number above 0, at most 1, not 2',
      ],
    ];
    for (const [input, sentence] of sentences) assert.deepEqual(complaints(input), [sentence]);
    assert.deepEqual(complaints(['W4A16']), [': quantization args must be a map, not a list']);
  });

  it('offers candidates for names it does not know', () => {
    const [observer] = normalizeArgs({ observer: 'mseee' }).problems!;
    assert.deepEqual(observer!.candidates, Object.keys(OBSERVERS));
    const [kwarg] = normalizeArgs({ observer: 'mse', observer_kwargs: { gridd: 3 } }).problems!;
    assert.deepEqual(kwarg!.path, ['observer_kwargs', 'gridd']);
    assert.ok(kwarg!.candidates!.includes('grid'));
    const [unknown] = normalizeArgs({ num_bit: 4 }).problems!;
    assert.ok(unknown!.candidates!.includes('num_bits'));
  });

  it('knows observers in any spelling and keeps the one given', () => {
    for (const observer of ['Static-MinMax', 'percentile', 'imatrix_mse'])
      assert.equal(accept({ observer }).observer, observer);
    assert.deepEqual(complaints({ observer: 'percentile', observer_kwargs: { percentile: 99.9 } }), []);
    assert.equal(complaints({ observer: 'toString' }).length, 1);
  });

  it('checks kwargs against the observer that will run, named or not', () => {
    assert.equal(complaints({ observer_kwargs: { grid: 10 } }).length, 1);
    assert.equal(normalizeArgs({ observer_kwargs: { grid: 10 } }, { observer: 'mse' }).args!.observer, 'mse');
    assert.equal(complaints({ dynamic: true, observer: 'mse', observer_kwargs: { gridd: 10 } }).length, 1);
    assert.deepEqual(complaints({ observer: 'mse', observer_kwargs: null }), []);
  });

  it('compares observers whatever their spelling', () => {
    const [a, b, c] = ['Static-MinMax', 'static_minmax', 'minmax'].map(observer => accept({ observer }));
    assert.ok(sameArgs(a!, b!) && !sameArgs(a!, c!));
  });

  it('compares actorders through their aliases', () => {
    const [a, b, c] = ['static', 'weight', 'dynamic'].map(actorder => accept({ group_size: 32, actorder }));
    assert.deepEqual(
      [a, b, c].map(args => actorderOf(args!)),
      ['weight', 'weight', 'group'],
    );
    assert.ok(sameArgs(a!, b!) && !sameArgs(a!, c!) && sameArgs(null, null) && !sameArgs(a!, null));
    assert.ok(!sameArgs(a!, { ...a!, num_bits: 4 }));
  });

  it('normalizing what was serialized changes nothing', () => {
    const input = fc.record(
      {
        num_bits: fc.integer({ min: 1, max: 9 }),
        type: fc.constantFrom('int', 'float', 'INT'),
        symmetric: fc.boolean(),
        group_size: fc.constantFrom(null, -1, 16, 128),
        strategy: fc.constantFrom(null, 'tensor', 'channel', 'Group', 'tensor_group', 'block', 'token', 'attn_head'),
        block_structure: fc.constantFrom(null, '128x128', [2, 3]),
        dynamic: fc.constantFrom(false, true, 'local'),
        actorder: fc.constantFrom(null, true, false, 'Weight', 'dynamic'),
        scale_dtype: fc.constantFrom(null, 'float8_e4m3fn', 'torch.uint8'),
        zp_dtype: fc.constantFrom(null, 'int8', 'torch.uint8'),
        observer: fc.constantFrom(null, 'MSE', 'minmax'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(input, given => {
        const { args } = normalizeArgs(given);
        if (args !== undefined) assert.deepEqual(accept(serializeArgs(args)), args);
      }),
      { numRuns: 2000 },
    );
  });

  it('never throws, whatever it is given', () => {
    const keys = fc.constantFrom(
      'num_bits',
      'type',
      'group_size',
      'strategy',
      'block_structure',
      'observer',
      'observer_kwargs',
      '__proto__',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(fc.anything({ withBigInt: true, withDate: true, withMap: true }), fc.dictionary(keys, fc.anything())),
        input => void normalizeArgs(input),
      ),
      { numRuns: 1000 },
    );
  });
});
