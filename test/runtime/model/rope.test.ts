import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Rope } from '../../../src/runtime/model/graph.js';
import { ropeTable } from '../../../src/runtime/model/rope.js';

const rope = (parameters: Record<string, unknown>, more: Partial<Rope> = {}): Rope => ({
  ...{ dim: 8, theta: 10000, maxPositions: 64, parameters },
  ...more,
});
const at = (...positions: number[]) => Int32Array.from(positions);

/** Radians per position of each pair, read off the table at position 1, where no angle is beyond pi. */
function frequencies(of: Rope, length = 2): number[] {
  const { cos, sin } = ropeTable(of, at(1, length - 1), 'float64');
  return Array.from({ length: of.dim / 2 }, (_, n) => Math.atan2(sin[n]!, cos[n]!));
}

const near = (actual: readonly number[], expected: readonly number[]) => {
  assert.equal(actual.length, expected.length);
  actual.forEach((x, i) => assert.ok(Math.abs(x - expected[i]!) <= 1e-12, `${i}: ${x}, expected ${expected[i]}`));
};
const plain = [1, 0.1, 0.01, 0.001];

describe('ropeTable', () => {
  it('default: theta^(-2n / dim), a row per position, nothing turned at position 0', () => {
    near(frequencies(rope({ rope_type: 'default' })), plain);
    const { cos, sin } = ropeTable(rope({ rope_type: 'default' }), at(0, 3), 'float64');
    assert.deepEqual([...cos.subarray(0, 4), ...sin.subarray(0, 4)], [1, 1, 1, 1, 0, 0, 0, 0]);
    near(
      [...cos.subarray(4)],
      plain.map(f => Math.cos(3 * f)),
    );
  });

  it('linear: all frequencies divided', () => {
    near(
      frequencies(rope({ rope_type: 'linear', factor: 4 })),
      plain.map(f => f / 4),
    );
  });

  it('dynamic: a larger theta only for a sequence beyond max_position_embeddings', () => {
    const dynamic = rope({ rope_type: 'dynamic', factor: 2 });
    near(frequencies(dynamic, 64), plain);
    const theta = 10000 * ((2 * 100) / 64 - 1) ** (8 / 6);
    near(
      frequencies(dynamic, 100),
      [0, 1, 2, 3].map(n => theta ** (-n / 4)),
    );
  });

  it('proportional: the first pairs turn, the others do not', () => {
    near(frequencies(rope({ rope_type: 'proportional', partial_rotary_factor: 0.5 })), [1, 0.1, 0, 0]);
  });

  it('llama3: short wavelengths kept, long ones divided, those between mixed', () => {
    const parameters = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const [first, second, third, last] = frequencies(rope({ ...parameters, original_max_position_embeddings: 128 }));
    near([first!, third!, last!], [1, 0.01 / 8, 0.001 / 8]);
    const smooth = (128 / (2 * Math.PI * 10) - 1) / 3;
    near([second!], [((1 - smooth) * 0.1) / 8 + smooth * 0.1]);
    // without an original context it is max_position_embeddings
    near(frequencies(rope(parameters)), frequencies(rope({ ...parameters, original_max_position_embeddings: 64 })));
  });

  it('yarn: a ramp from kept to divided pairs, and cos and sin times the attention factor', () => {
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 256 };
    const { cos, sin } = ropeTable(rope(yarn), at(0), 'float64');
    near([...cos], Array<number>(4).fill(0.1 * Math.log(4) + 1));
    near([...sin], [0, 0, 0, 0]);
    // pairs 0 and 2 are the bounds of the ramp: floor(0.10) and ceil(1.61)
    near(frequencies(rope(yarn)), [1, (0.1 / 4) * 0.5 + 0.1 * 0.5, 0.01 / 4, 0.001 / 4]);
    assert.equal(ropeTable(rope({ ...yarn, attention_factor: 2 }), at(0), 'float64').cos[0], 2);
    assert.equal(ropeTable(rope({ ...yarn, mscale: 1, mscale_all_dim: 1 }), at(0), 'float64').cos[0], 1);
    // a factor of null is what max_position_embeddings says
    near(frequencies(rope({ ...yarn, factor: null }, { maxPositions: 1024 })), frequencies(rope(yarn)));
  });

  it('longrope: the long divisors for a sequence beyond the original context', () => {
    const longrope = rope({
      ...{ rope_type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [1, 2, 4, 8] },
      ...{ original_max_position_embeddings: 16 },
    });
    near(frequencies(longrope, 16), plain);
    near(frequencies(longrope, 17), [1, 0.05, 0.0025, 0.000125]);
    near([ropeTable(longrope, at(0), 'float64').cos[0]!], [Math.sqrt(1 + Math.log(64 / 16) / Math.log(16))]);
  });

  it('float32 differs from float64 by what rounding the angle does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4095 }),
        fc.constantFrom<Record<string, unknown>>(
          { rope_type: 'default' },
          { rope_type: 'linear', factor: 3 },
          { rope_type: 'dynamic', factor: 2.5 },
          { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
          { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
        ),
        (position, parameters) => {
          const [single, double] = (['float32', 'float64'] as const).map(precision =>
            ropeTable(rope(parameters, { dim: 16 }), at(position), precision),
          );
          assert.ok(single!.cos instanceof Float32Array);
          single!.cos.forEach((x, i) => assert.ok(Math.abs(x - double!.cos[i]!) <= 1e-6 + position * 2 ** -22));
        },
      ),
    );
  });

  const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  const refusals: [string, Record<string, unknown>, RegExp, Partial<Rope>?][] = [
    ['an unknown type', { rope_type: 'mrope' }, /^rope_parameters\.rope_type is "mrope", expected one of default, /],
    ['a type that is none', { rope_type: 3 }, /^rope_parameters\.rope_type is 3/],
    ['a property that every object has', { rope_type: 'toString' }, /^rope_parameters\.rope_type is "toString"/],
    ['a missing factor', { rope_type: 'linear' }, /^rope_parameters\.factor is missing, expected a number above 0/],
    ['a factor of the wrong kind', { rope_type: 'dynamic', factor: '2' }, /^rope_parameters\.factor is "2"/],
    [
      'a parameter that the type does not have',
      { rope_type: 'default', factor: 2 },
      /^rope_parameters\.factor does not/,
    ],
    ['a parameter of other readers', { ...llama3, mrope_section: [1] }, /^rope_parameters\.mrope_section does not/],
    ['bounds the wrong way round', { ...llama3, low_freq_factor: 4 }, /^rope_parameters\.high_freq_factor is 4/],
    ['no original context', llama3, /^max_position_embeddings is missing/, { maxPositions: undefined! }],
    ['a flag that is none', { rope_type: 'yarn', factor: 2, truncate: 1 }, /^rope_parameters\.truncate is 1/],
    [
      'a list of another length',
      { rope_type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [1, 1, 1] },
      /^rope_parameters\.long_factor is \[1,1,1\], expected 4 numbers/,
    ],
  ];
  for (const [what, parameters, message, more] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => ropeTable(rope(parameters, more), at(), 'float64'), { code: 'MODEL', message });
    });
  }
});
