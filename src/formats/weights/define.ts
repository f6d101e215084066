import type { FormatName, QuantizationArgs, ScaleDType, Strategy } from '../../schemes/args.js';
import { oneOf } from '../../schemes/problem.js';
import type { ReadStored, TensorLayout, WeightFormat, WeightSpec } from '../format.js';
import { isCount } from '../records.js';
import { byteLength } from '../safetensors/layout.js';
import type { CodeStorage } from './codes.js';
import { storedError, weightShape, type StoredParameter } from './parameters.js';
import { asInt64 } from './views.js';

/** A storage format as data. */
export interface FormatDescription {
  readonly name: FormatName;
  /** What a code can be. */
  readonly holds: readonly ('int' | 'fp8' | 'fp4')[];
  /** Default: tensor, channel, group, block. */
  readonly strategies?: readonly Strategy[];
  /** What the scheme has to say, where the format leaves no choice. */
  readonly group_size?: number;
  readonly scale_dtype?: ScaleDType;
  readonly codes: CodeStorage;
  /** In the order of `layout`. */
  readonly parameters: readonly StoredParameter[];
}

/** Makes the pair of a format from its description. */
export function defineWeightFormat(description: FormatDescription): WeightFormat {
  const { name, codes, parameters } = description;
  return {
    name,
    codes: codes.suffix,
    parameters: parameters.map(({ suffix }) => suffix),
    refuses: spec => refuses(description, spec),
    layout: spec => [
      { suffix: codes.suffix, ...codes.layout(spec) },
      ...parameters.flatMap(({ suffix, layout }): TensorLayout[] => {
        const stored = layout(spec);
        return stored === undefined ? [] : [{ suffix, ...stored }];
      }),
    ],
    measure: (stored, read, module) => {
      const [rows, width] = stored;
      if (stored.length !== 2 || rows === undefined || width === undefined) {
        throw storedError(module, codes.suffix, `has ${stored.length} dimensions, not 2`);
      }
      const shape = codes.columns ? { rows, columns: codes.columns(width) } : readShape(read, module);
      if (shape.rows === 0 || shape.columns === 0)
        throw storedError(module, codes.suffix, 'belongs to a weight without elements');
      return shape;
    },
    compress: (values, spec, into) => codes.compress(values, spec, into),
    decompress: (bytes, spec) => codes.decompress(bytes, spec),
    compressParameters: (values, spec) => {
      const present = parameters.filter(({ layout }) => layout(spec) !== undefined);
      return new Map(present.map(({ suffix, write }) => [suffix, write(values, spec)]));
    },
    decompressParameters: (read, spec) => {
      const found = { scale: new Float32Array(0), zeroPoint: null, globalScale: null, groupIndex: null };
      for (const parameter of parameters) {
        const stored = parameter.layout(spec);
        if (stored === undefined) continue;
        const bytes = read(parameter.suffix);
        if (bytes?.length !== byteLength(stored)) {
          const has = bytes === undefined ? 'is missing' : `has ${bytes.length} bytes instead of ${byteLength(stored)}`;
          throw storedError(spec.module, parameter.suffix, has);
        }
        Object.assign(found, parameter.read(bytes, spec));
      }
      return found;
    },
  };
}

function refuses(
  { name, holds, strategies, group_size, scale_dtype }: FormatDescription,
  spec: WeightSpec,
): string | undefined {
  const { columns, args } = spec;
  const allowed = strategies ?? (['tensor', 'channel', 'group', 'block'] as const);
  const kind = kindOf(args);
  if (!holds.includes(kind)) {
    const wayOut = kind === 'fp4' ? ', which are stored in groups of 16 (NVFP4) or 32 (MXFP4)' : '';
    return `${name} stores ${oneOf(holds)} weights, not ${kind === 'int' ? `int${args.num_bits}` : kind}${wayOut}`;
  }
  if (!allowed.includes(args.strategy)) return `${name} stores scales by ${oneOf(allowed)}, not by ${args.strategy}`;
  if (group_size !== undefined && args.group_size !== group_size) {
    return `${name} needs group_size ${group_size}, not ${args.group_size}`;
  }
  if (scale_dtype !== undefined && args.scale_dtype !== scale_dtype) {
    return `${name} needs scale_dtype ${scale_dtype}, not ${args.scale_dtype}`;
  }
  const grouped = args.strategy === 'group' || args.strategy === 'tensor_group';
  return grouped && columns % args.group_size! !== 0
    ? `${columns} columns do not divide into groups of ${args.group_size}`
    : undefined;
}

function kindOf({ type, num_bits }: QuantizationArgs): 'int' | 'fp8' | 'fp4' {
  return type === 'int' ? 'int' : num_bits === 4 ? 'fp4' : 'fp8';
}

function readShape(read: ReadStored, module: string | undefined): { rows: number; columns: number } {
  const bytes = read(weightShape.suffix);
  if (bytes?.length !== 16)
    throw storedError(module, weightShape.suffix, bytes === undefined ? 'is missing' : 'is not two int64');
  const [rows, columns] = Array.from(asInt64(bytes), Number) as [number, number];
  if (!isCount(rows) || !isCount(columns)) throw storedError(module, weightShape.suffix, `is [${rows}, ${columns}]`);
  return { rows, columns };
}
