import { TensorpressError } from '../../errors.js';
import { parseJsonStrict } from '../jsonText.js';
import { isPrintable, printable } from '../printable.js';
import { isRecord } from '../records.js';

export const MAX_INDEX_BYTES = 100_000_000;

/**
 * Reads `weight_map` of a model.safetensors.index.json, the file of each tensor; nothing else in it is needed.
 * @throws TensorpressError TENSOR
 */
export function parseIndex(bytes: Uint8Array, file: string): ReadonlyMap<string, string> {
  const refuse = (message: string, tensor?: string): never => {
    const place = tensor === undefined ? { file } : { file, tensor };
    throw new TensorpressError('TENSOR', message, { place, hint: 'the index is damaged: fetch the model again' });
  };
  const document = parseJsonStrict(bytes, {
    file,
    what: 'the index',
    code: 'TENSOR',
    maxDepth: 20,
    maxBytes: MAX_INDEX_BYTES,
    locate: ([key, tensor]) => (key === 'weight_map' && tensor !== undefined ? { tensor: printable(tensor) } : {}),
  });
  const map = isRecord(document) ? document['weight_map'] : undefined;
  if (!isRecord(map)) return refuse('the index has no weight_map');
  const weightMap = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !isFileName(shard)) {
      const shown = typeof shard === 'string' ? `"${printable(shard)}"` : 'a value';
      return refuse(`the index places ${printable(tensor)} in ${shown}, which is not a file name`, printable(tensor));
    }
    weightMap.set(tensor, shard);
  }
  if (weightMap.size === 0) return refuse('the index lists no tensors');
  return weightMap;
}

/** A name inside the folder: nothing that could lead out of it on any system. */
function isFileName(name: string): boolean {
  return /^[^/\\:]+$/.test(name) && name !== '.' && name !== '..' && name.length <= 255 && isPrintable(name);
}
