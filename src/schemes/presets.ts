import { normalizeArgs, type QuantizationArgs, type QuantizationScheme } from './args.js';

/** Weights and input activations. */
type Expansion = [QuantizationArgs | null, QuantizationArgs | null];

const args = (input: Partial<QuantizationArgs>): QuantizationArgs => normalizeArgs(input).args!;

const int = (bits: number, more: Partial<QuantizationArgs> = { group_size: 128 }) => args({ num_bits: bits, ...more });
const fp8 = (more: Partial<QuantizationArgs> = {}) => args({ num_bits: 8, type: 'float', ...more });
const perToken = { strategy: 'token', dynamic: true } as const;

/** NVIDIA's fp4: groups of 16 with e4m3 scales under one global scale. */
const nvfp4 = (more: Partial<QuantizationArgs> = {}) =>
  args({
    num_bits: 4,
    type: 'float',
    strategy: 'tensor_group',
    group_size: 16,
    scale_dtype: 'torch.float8_e4m3fn',
    ...more,
  });

/** OCP microscaling: groups of 32 with power-of-two scales. */
const mx = (bits: number, more: Partial<QuantizationArgs> = {}) =>
  args({ num_bits: bits, type: 'float', group_size: 32, scale_dtype: 'torch.uint8', ...more });

/** Names of one family, W2A8 ... W7A8, with the args of their weights. */
const family = (bits: number[], suffix: string, inputs: QuantizationArgs | null): Record<string, Expansion> =>
  Object.fromEntries(bits.map(b => [`W${b}${suffix}`, [int(b), inputs]]));

/** compressed-tensors' presets. W<b>A<a> are integer weights of b bits in groups of 128 under activations of a bits (16: left alone). */
const PRESETS: Readonly<Record<string, Expansion>> = {
  UNQUANTIZED: [null, null],
  ...family([2, 3, 4, 5, 6, 7, 8], 'A16', null),
  ...family([2, 3, 4, 5, 6, 7], 'A8', int(8, perToken)),
  ...family([2, 3, 4], 'A4', int(4, perToken)),
  W4A16_ASYM: [int(4, { group_size: 128, symmetric: false }), null],
  W8A8: [int(8, { strategy: 'channel' }), int(8, perToken)],
  INT8: [int(8, { strategy: 'channel' }), int(8, perToken)],
  W4AFP8: [int(4), fp8(perToken)],
  FP8: [fp8(), fp8({ observer: 'static_minmax' })],
  FP8_DYNAMIC: [fp8({ strategy: 'channel' }), fp8(perToken)],
  FP8_BLOCK: [fp8({ strategy: 'block', block_structure: [128, 128] }), fp8({ group_size: 128, dynamic: true })],
  NVFP4A16: [nvfp4(), null],
  NVFP4: [nvfp4(), nvfp4({ dynamic: 'local', observer: 'static_minmax' })],
  MXFP4A16: [mx(4), null],
  MXFP4: [mx(4), mx(4, { dynamic: true })],
  MXFP8A16: [mx(8), null],
  MXFP8: [mx(8), mx(8, { dynamic: true })],
};

/** All preset names, in upper case. */
export function presetNames(): string[] {
  return Object.keys(PRESETS);
}

/** The scheme of a preset, in any case, for these targets; a fresh object. Undefined when there is no such preset. */
export function preset(name: string, targets: readonly string[]): QuantizationScheme | undefined {
  const key = name.toUpperCase();
  if (!Object.hasOwn(PRESETS, key)) return undefined;
  const [weights, inputs] = structuredClone(PRESETS[key]!);
  return { targets: [...targets], weights, input_activations: inputs, output_activations: null, format: null };
}
