import { TensorpressError } from '../../errors.js';
import { DTYPE_BYTES, type DType } from '../../numerics/dtypes.js';
import { parseJsonStrict } from '../jsonText.js';
import { isPrintable, printable } from '../printable.js';
import { isCount, isRecord } from '../records.js';

/** A tensor's place in its file. */
export interface Placed {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Offsets from the start of the file: [begin, end). */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, Placed>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The length of the length. */
export const PREFIX_BYTES = 8;
/** The limit of safetensors' own reader. */
const MAX_HEADER_BYTES = 100_000_000;

const SUB_BYTE = /^F[46](_|$)/;
const FETCH_AGAIN = 'the file is damaged or was written wrongly: fetch or export it again';

/**
 * Bytes of the JSON that follows the prefix: a little-endian unsigned 64-bit integer.
 * @param prefix the first 8 bytes of the file
 * @throws TensorpressError TENSOR
 */
export function headerLength(prefix: Uint8Array, fileSize: number, file: string): number {
  const refuse = (message: string, hint = FETCH_AGAIN): never => {
    throw new TensorpressError('TENSOR', message, { place: { file }, hint });
  };
  if (prefix.length < PREFIX_BYTES) refuse(`the file has ${fileSize} bytes, too few for a safetensors file`);
  const text = String.fromCharCode(...prefix.subarray(0, PREFIX_BYTES));
  if (text === 'version ') refuse('the file is a Git LFS pointer, not the weights', 'run `git lfs pull` in its folder');
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  const length = Number(view.getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    refuse(`the header claims ${length} bytes, more than the ${MAX_HEADER_BYTES} a safetensors header may have`);
  }
  if (PREFIX_BYTES + length > fileSize) {
    refuse(`the header claims ${length} bytes, but the file ends after ${fileSize}`);
  }
  return length;
}

/**
 * Reads a safetensors header and checks everything that it promises: the tensors fill the rest of the file without overlap or gap.
 * @param bytes the file's start: prefix and JSON
 * @param fileSize bytes of the whole file
 * @throws TensorpressError TENSOR, naming the file and, where there is one, the tensor
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, file: string): Header {
  const start = PREFIX_BYTES + headerLength(bytes, fileSize, file);
  const document = parseJsonStrict(bytes.subarray(PREFIX_BYTES, start), {
    file,
    what: 'the header',
    code: 'TENSOR',
    maxDepth: 3,
    maxBytes: MAX_HEADER_BYTES,
    locate: ([name]) => (name === undefined ? {} : { tensor: printable(name) }),
  });
  if (bytes.length < start || !isRecord(document)) {
    throw new TensorpressError('TENSOR', 'the header is not a JSON object', { place: { file }, hint: FETCH_AGAIN });
  }
  const placed: Placed[] = [];
  for (const [name, entry] of Object.entries(document)) {
    if (name !== '__metadata__') placed.push(place(name, entry, start, file));
  }
  placed.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCover(placed, start, fileSize, file);
  return { tensors: new Map(placed.map(tensor => [tensor.name, tensor])), metadata: metadata(document, file) };
}

/** One entry of the header, checked on its own. */
function place(name: string, entry: unknown, start: number, file: string): Placed {
  const tensor = printable(name);
  const refuse = (problem: string, hint = FETCH_AGAIN): never => {
    throw new TensorpressError('TENSOR', `${tensor} ${problem}`, { place: { file, tensor }, hint });
  };
  if (!isPrintable(name)) refuse('is a tensor name with characters that cannot be printed');
  if (!isRecord(entry)) return refuse('has an entry in the header that is not an object');

  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') return refuse('has no dtype');
  if (SUB_BYTE.test(dtype)) {
    return refuse(
      `has dtype ${printable(dtype, 20)}, elements smaller than a byte`,
      'export it as U8 or as a wider float',
    );
  }
  if (!isDType(dtype)) {
    return refuse(
      `has the unknown dtype "${printable(dtype, 20)}"`,
      `known are ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount))
    return refuse('has a shape that is not a list of integers from 0');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return refuse('has data_offsets that are not two integers from 0');
  }
  const bytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
  if (!isCount(bytes)) return refuse('has a shape with more bytes than any file can hold');
  const [begin, end] = offsets as [number, number];
  if (begin > end) return refuse(`has data_offsets that run backwards, from ${begin} to ${end}`);
  if (end - begin !== bytes) {
    const sizes = shape.length > 8 ? `${shape.slice(0, 8).join(', ')}, ...` : shape.join(', ');
    return refuse(`is ${dtype} [${sizes}] and needs ${bytes} bytes, but its data_offsets give ${end - begin}`);
  }
  return { name, dtype, shape, begin: start + begin, end: start + end };
}

/** Tensors in the order of their data must follow each other exactly and end where the file ends. */
function checkCover(placed: readonly Placed[], start: number, fileSize: number, file: string): void {
  let position = start;
  let previous = 'the header';
  for (const { name, begin, end } of placed) {
    const tensor = printable(name);
    const refuse = (problem: string): never => {
      throw new TensorpressError('TENSOR', `${tensor} ${problem}`, { place: { file, tensor }, hint: FETCH_AGAIN });
    };
    if (end > fileSize) refuse(`ends at byte ${end} of a file that has ${fileSize}: the file was cut off`);
    if (begin < position) refuse(`overlaps ${previous}`);
    if (begin > position)
      refuse(`starts ${begin - position} bytes after the end of ${previous}; they belong to no tensor`);
    position = end;
    previous = tensor;
  }
  if (position !== fileSize) {
    throw new TensorpressError('TENSOR', `${fileSize - position} bytes after ${previous} belong to no tensor`, {
      place: { file },
      hint: FETCH_AGAIN,
    });
  }
}

function metadata({ __metadata__: value = {} }: Record<string, unknown>, file: string): ReadonlyMap<string, string> {
  if (isRecord(value) && holdsTexts(value)) return new Map(Object.entries(value));
  throw new TensorpressError('TENSOR', '__metadata__ of the header does not map strings to strings', {
    place: { file },
    hint: FETCH_AGAIN,
  });
}

function holdsTexts(record: Record<string, unknown>): record is Record<string, string> {
  return Object.values(record).every(value => typeof value === 'string');
}

function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPE_BYTES, name);
}
