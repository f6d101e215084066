import { TensorpressError } from '../../errors.js';
import { byteLength, type Planned } from './layout.js';
import { SINGLE_FILE } from './locate.js';

export interface Shard {
  readonly name: string;
  readonly tensors: readonly Planned[];
}

export interface ShardPlan {
  readonly files: readonly Shard[];
  /** Text of model.safetensors.index.json; null when one file holds everything. */
  readonly index: string | null;
}

/**
 * Divides tensors over files in the order given; a file is closed before the tensor that would make it larger than `maxShardSize`. A tensor
 * larger than that has a file of its own. Names and index are those of transformers.
 * @param maxShardSize bytes of tensor data per file
 * @param options.parameters number of the model's parameters, recorded in the index when it is known
 */
export function planShards(
  tensors: readonly Planned[],
  maxShardSize: number,
  { parameters }: { parameters?: number } = {},
): ShardPlan {
  const shards: Planned[][] = [[]];
  let size = 0;
  let total = 0;
  for (const tensor of tensors) {
    const bytes = byteLength(tensor);
    if (size > 0 && size + bytes > maxShardSize) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(tensor);
    size += bytes;
    total += bytes;
  }
  if (shards.length === 1) return { files: [{ name: SINGLE_FILE, tensors: shards[0]! }], index: null };

  const five = (n: number): string => String(n).padStart(5, '0');
  const files = shards.map((shard, i) => ({
    name: `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`,
    tensors: shard,
  }));
  const places = files.flatMap(file => file.tensors.map(({ name }) => [name, file.name] as const));
  const index = {
    metadata: { ...(parameters === undefined ? {} : { total_parameters: parameters }), total_size: total },
    weight_map: Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return { files, index: `${JSON.stringify(index, null, 2)}\n` };
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/**
 * A size as transformers spells it: `5GB`, `500MB`, `20kB` (powers of ten), `2GiB` (powers of two), or a number of bytes; in any case. The
 * schema of recipes accepts the same texts.
 * @throws TensorpressError ARGUMENT, with a sentence that begins with the value
 */
export function parseSize(value: string | number): number {
  const [, digits, unit = 'B'] = /^\s*(\d+(?:\.\d+)?)\s*((?:[KMGT]i?)?B)?\s*$/i.exec(String(value)) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit.toUpperCase()] ?? NaN));
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new TensorpressError('ARGUMENT', `${JSON.stringify(value)} is not a size`, {
      hint: 'write a number of bytes or a number with a unit, such as 5GB, 500MB or 2GiB',
    });
  }
  return bytes;
}
