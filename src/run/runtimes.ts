import type { ModuleScheme } from '../modifiers/modifier.js';
import type { FormatName } from '../schemes/args.js';

/**
 * What loads which storage format: data for the plan's advice, never a reason to refuse. `checked` tells what we ran ourselves; the rest is
 * from the runtimes' documentation and changes with their releases.
 */
interface RuntimeRow {
  readonly runtime: string;
  readonly version: string;
  readonly checked: boolean;
  readonly formats: readonly FormatName[];
  /** A sentence when a scheme of these formats is known not to have a kernel. */
  readonly without?: (scheme: ModuleScheme) => string | undefined;
}

const ALL: readonly FormatName[] = [
  'dense',
  'pack-quantized',
  'int-quantized',
  'float-quantized',
  'naive-quantized',
  'nvfp4-pack-quantized',
  'mxfp4-pack-quantized',
  'mxfp8-quantized',
];

const RUNTIMES: readonly RuntimeRow[] = [
  { runtime: 'transformers', version: '5.18', checked: true, formats: ALL },
  {
    runtime: 'vLLM',
    version: '0.21',
    checked: false,
    formats: ALL,
    without({ weights, input_activations, format }) {
      if (weights === null) return undefined;
      const { num_bits, strategy, group_size } = weights;
      if (format === 'pack-quantized') {
        if (![4, 8].includes(num_bits)) return `has kernels for 4 and 8 bit weights, not for ${num_bits}`;
        if (strategy === 'group' && ![32, 64, 128].includes(group_size ?? 0))
          return `has kernels for groups of 32, 64 and 128, not of ${group_size}`;
        if (!['group', 'channel'].includes(strategy))
          return `reads packed weights with group or channel scales, not per ${strategy}`;
      }
      if (format === 'int-quantized' && (num_bits !== 8 || input_activations?.num_bits !== 8)) {
        return 'has kernels for 8 bit integers in this format, not for narrower ones';
      }
      return undefined;
    },
  },
];

export interface RuntimeAdvice {
  readonly runtime: string;
  readonly version: string;
  readonly checked: boolean;
  readonly loads: boolean;
  readonly reason?: string;
}

/** Which runtimes load a model with these schemes. */
export function runtimeAdvice(schemes: Iterable<ModuleScheme>): RuntimeAdvice[] {
  const distinct = [...schemes];
  return RUNTIMES.map(({ runtime, version, checked, formats, without }) => {
    const unknown = distinct.find(({ format }) => !formats.includes(format));
    const reason = unknown
      ? `does not read ${unknown.format}`
      : distinct.map(scheme => without?.(scheme)).find(Boolean);
    return { runtime, version, checked, loads: reason === undefined, ...(reason === undefined ? {} : { reason }) };
  });
}
