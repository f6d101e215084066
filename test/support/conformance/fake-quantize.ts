import { codeRange } from '../../../src/numerics/qparams.js';
import { normalizeArgs, type QuantizationArgs } from '../../../src/schemes/args.js';
import { preset, presetNames } from '../../../src/schemes/presets.js';
import { draws, edgeRows, floats, single, type Case, type Numbers } from './cases.js';

const HEADS = 3;

/** Every scheme of the presets' activations, and those that key and value caches and asymmetric integers add. */
export function fakeQuantizeCases(): Case[] {
  const inputs = presetNames().flatMap(name => {
    const args = preset(name, [])!.input_activations;
    return args === null ? [] : [[name, args] as const];
  });
  const more: (readonly [string, Partial<QuantizationArgs>])[] = [
    ['int8 tensor, dynamic', { dynamic: true }],
    ['int8 tensor, static', {}],
    ['int8 tensor, asymmetric, static', { symmetric: false }],
    ['int8 token, asymmetric', { strategy: 'token', dynamic: true, symmetric: false }],
    ['int4 groups of 32, asymmetric', { num_bits: 4, group_size: 32, dynamic: true, symmetric: false }],
    ['int8 heads', { strategy: 'attn_head' }],
    ['int8 heads, asymmetric', { strategy: 'attn_head', symmetric: false }],
    ['fp8 heads', { strategy: 'attn_head', type: 'float' }],
    ['fp8 tensor, dynamic', { type: 'float', dynamic: true }],
  ];
  const schemes = new Map([
    ...inputs.reverse(),
    ...more.map(([name, input]) => [name, normalizeArgs(input).args!] as const),
  ]);
  return [...distinct(schemes)].flatMap(([name, args], i) => cases(name, args, i + 200));
}

/** Presets of equal activations count once, by their first name. */
function distinct(schemes: ReadonlyMap<string, QuantizationArgs>): Map<string, QuantizationArgs> {
  const byArgs = new Map([...schemes].map(([name, args]) => [JSON.stringify(args), [name, args] as const]));
  return new Map(byArgs.values());
}

function cases(name: string, args: QuantizationArgs, seed: number): Case[] {
  const draw = draws(seed);
  const C = (args.group_size ?? 8) * HEADS;
  const stored = parameters(args, draw.pick([0.03125, 0.017]));
  return [
    single('fake_quantize', { args }, { x: draw.floats([draw.int(2, 20), C], 1.5), ...stored }, name),
    single('fake_quantize', { args }, { x: draw.floats([1, C], 0.02), ...stored }, `${name}, one token`),
    single('fake_quantize', { args }, { x: edgeRows(C, 1e6), ...stored }, `${name}, edge values`),
    single('fake_quantize', { args }, { x: midway(args, C), ...parameters(args, 0.25) }, `${name}, between codes`),
  ];
}

/** Stored scales (of heads: s, 2 s, 3 s), zero points, and the global scale of NVFP4. */
function parameters(args: QuantizationArgs, s: number): Record<string, Numbers> {
  const n = args.strategy === 'attn_head' ? HEADS : 1;
  return {
    ...(args.dynamic === false ? { scale: floats([n], i => s * (i + 1)) } : {}),
    ...(args.dynamic === false && !args.symmetric ? { zeroPoint: floats([n], i => 5 - 20 * i) } : {}),
    ...(args.dynamic === 'local' ? { globalScale: floats([1], () => 448) } : {}),
  };
}

/** Values in the middle between two codes, where only rounding to even is right: the largest makes the scale a quarter. */
function midway(args: QuantizationArgs, columns: number): Numbers {
  const { lowest, highest } = codeRange(args);
  const largest = args.type === 'int' ? (highest - lowest) / 2 : highest;
  const steps =
    args.num_bits === 4 && args.type === 'float' ? [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5] : [0.5, 1.5, 2.5, 4.5, 6.5];
  return floats([4, columns], i => {
    const c = i % 8;
    return 0.25 * (c === 0 ? largest : (c % 2 === 0 ? -1 : 1) * steps[(i >> 3) % steps.length]!);
  });
}
