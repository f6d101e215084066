import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * A second reader of compressed-tensors checkpoints, in float64 and written from the format's description only, to check ours against.
 */

interface Entry {
  dtype: string;
  shape: number[];
  bytes: Buffer;
}

/** All tensors of a single-file checkpoint or of the shards that its index names. */
export function readAll(folder: string): Map<string, Entry> {
  let files: string[];
  try {
    const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8')) as {
      weight_map: Record<string, string>;
    };
    files = [...new Set(Object.values(index.weight_map))];
  } catch {
    files = ['model.safetensors'];
  }
  const tensors = new Map<string, Entry>();
  for (const file of files) {
    const data = readFileSync(join(folder, file));
    const length = Number(data.readBigUInt64LE(0));
    const header = JSON.parse(data.toString('utf8', 8, 8 + length)) as Record<
      string,
      { dtype: string; shape: number[]; data_offsets: [number, number] }
    >;
    delete header['__metadata__'];
    for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
      const [from, to] = data_offsets.map(offset => 8 + length + offset);
      tensors.set(name, { dtype, shape, bytes: data.subarray(from, to) });
    }
  }
  return tensors;
}

const FP4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** One number of a tensor. */
function number({ dtype, bytes }: Entry, i: number): number {
  switch (dtype) {
    case 'F32':
      return bytes.readFloatLE(4 * i);
    case 'BF16': {
      const wide = Buffer.from([0, 0, bytes[2 * i]!, bytes[2 * i + 1]!]);
      return wide.readFloatLE(0);
    }
    case 'F16': {
      const u = bytes.readUInt16LE(2 * i);
      const [sign, e, m] = [u >> 15 ? -1 : 1, (u >> 10) & 31, u & 1023];
      return sign * (e === 0 ? m * 2 ** -24 : (1 + m / 1024) * 2 ** (e - 15));
    }
    case 'F8_E4M3': {
      const u = bytes[i]!;
      const [sign, e, m] = [u >> 7 ? -1 : 1, (u >> 3) & 15, u & 7];
      return sign * (e === 0 ? m * 2 ** -9 : (1 + m / 8) * 2 ** (e - 7));
    }
    case 'I8':
      return bytes.readInt8(i);
    case 'I32':
      return bytes.readInt32LE(4 * i);
    case 'I64':
      return Number(bytes.readBigInt64LE(8 * i));
    default:
      return bytes[i]!;
  }
}

/** Element `at` of little-endian fields of `bits` bits in int32 words, one row. */
function field(entry: Entry, row: number, at: number, bits: number): number {
  let value = 0;
  for (let b = 0; b < bits; b++) {
    const bit = at * bits + b;
    const word = number(entry, row * entry.shape[1]! + (bit >> 5));
    value |= ((word >>> (bit & 31)) & 1) << b;
  }
  return value - 2 ** (bits - 1);
}

interface Args {
  num_bits: number;
  type: string;
  symmetric: boolean;
  strategy: string;
  group_size: number | null;
  block_structure: [number, number] | null;
}
interface Group {
  targets: string[];
  weights: Args | null;
  format: string;
}

function matching(groups: Group[], name: string): Group | undefined {
  const kind = /embed/.test(name) ? 'Embedding' : 'Linear';
  const ranks: ((target: string) => boolean)[] = [
    target => target === name,
    target => target.startsWith('re:') && new RegExp(`^(?:${target.slice(3)})`).test(name),
    target => target === kind || target === 'Module',
  ];
  for (const rank of ranks) {
    const found = groups.flatMap(group => group.targets.filter(rank).map(target => ({ target, group })));
    found.sort((a, b) => (a.target < b.target ? -1 : 1));
    if (found[0]) return found[0].group;
  }
  return undefined;
}

/** Every weight of a checkpoint: decompressed ones in float64, rounded to float32 where the format's arithmetic is; others as they are. */
export function decodeCheckpoint(folder: string): Map<string, { shape: number[]; values: Float64Array }> {
  const tensors = readAll(folder);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as {
    quantization_config?: { config_groups: Record<string, Group> };
  };
  const groups = Object.values(config.quantization_config?.config_groups ?? {});
  const modules = new Set([...tensors.keys()].flatMap(name => /^(.*)\.weight_(?:scale|packed)$/.exec(name)?.[1] ?? []));
  const decoded = new Map<string, { shape: number[]; values: Float64Array }>();
  for (const [name, entry] of tensors) {
    const module = /^(.*)\.weight(_\w+)?$/.exec(name)?.[1];
    if (module !== undefined && modules.has(module)) continue;
    const count = entry.shape.reduce((a, b) => a * b, 1);
    decoded.set(name, { shape: entry.shape, values: Float64Array.from({ length: count }, (_, i) => number(entry, i)) });
  }
  for (const module of modules) {
    const of = (suffix: string) => tensors.get(`${module}.weight${suffix}`);
    decoded.set(`${module}.weight`, decodeWeight(of, matching(groups, module)!.weights!));
  }
  return decoded;
}

function decodeWeight(of: (suffix: string) => Entry | undefined, args: Args) {
  const codes = of('_packed') ?? of('')!;
  const [scale, zero, global, order, shaped] = ['_scale', '_zero_point', '_global_scale', '_g_idx', '_shape'].map(of);
  const fp4 = args.type === 'float' && args.num_bits === 4;
  const rows = codes.shape[0]!;
  const columns = shaped ? number(shaped, 1) : codes.shape[1]! * (fp4 ? 2 : 1);
  const groups = scale!.shape[1] ?? 1;
  const values = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const [br, bc] = blockOf(r, c, args, order && number(order, 0) >= 0 ? number(order, c) : undefined);
      const block = args.strategy === 'tensor' ? 0 : br * groups + bc;
      let s = number(scale!, block);
      if (scale!.dtype === 'U8') s = 2 ** (s - 127);
      if (global) s = Math.fround(s / number(global, 0));
      const code =
        codes.dtype === 'I32'
          ? field(codes, r, c, args.num_bits)
          : fp4
            ? nibble(codes, r * columns + c)
            : number(codes, r * columns + c);
      const z = args.symmetric || !zero ? 0 : zeroPoint(zero, br, bc, args);
      values[r * columns + c] = Math.fround((code - z) * s);
    }
  }
  return { shape: [rows, columns], values };
}

function nibble({ bytes }: Entry, i: number): number {
  const code = (bytes[i >> 1]! >> (i % 2 === 0 ? 0 : 4)) & 15;
  return (code & 8 ? -1 : 1) * FP4[code & 7]!;
}

/** Packed zero points run down the columns of [words, groups]. */
function zeroPoint(zero: Entry, row: number, group: number, { num_bits: bits }: Args): number {
  if (zero.dtype !== 'I32') return number(zero, row * (zero.shape[1] ?? 1) + group);
  let value = 0;
  for (let b = 0; b < bits; b++) {
    const bit = row * bits + b;
    const word = number(zero, (bit >> 5) * zero.shape[1]! + group);
    value |= ((word >>> (bit & 31)) & 1) << b;
  }
  return value - 2 ** (bits - 1);
}

function blockOf(r: number, c: number, args: Args, ordered: number | undefined): [number, number] {
  const { strategy, group_size, block_structure } = args;
  if (strategy === 'tensor') return [0, 0];
  if (strategy === 'channel') return [r, 0];
  if (strategy === 'block') return [Math.floor(r / block_structure![0]), Math.floor(c / block_structure![1])];
  return [r, ordered ?? Math.floor(c / group_size!)];
}
