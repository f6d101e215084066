import { TensorpressError } from '../errors.js';
import type { Source, TensorInfo } from '../formats/source.js';
import { widen } from '../numerics/dtypes.js';
import { emptyRange, type Grid, type Range } from '../numerics/grid.js';
import type { RowChunk, WeightRows } from '../observers/observer.js';
import type { Weight } from '../runtime/model/model.js';
import { flow } from './flow.js';
import { cutGrid } from './jobs.js';
import type { Jobs } from './pool.js';

/** Elements in work at a time: a constant, so that neither memory nor results depend on the machine. */
export const CHUNK_ELEMENTS = 1 << 20;
/** Largest element of a weight. */
const ELEMENT_BYTES = 4;

/** Memory for what is read and what is to be written, used again and again; shared, so that threads see it without a copy. */
export interface Buffers {
  /** Pieces that can be under way. */
  readonly count: number;
  /** Memory of a slot, in which nothing lies any more: for what is read (0), for what output i writes (1 + i). */
  take(slot: number, use?: number): (bytes: number) => Uint8Array;
}

/** @param count of slots: pieces that can be under way */
export function createBuffers(count: number): Buffers {
  const memory = new Map<string, SharedArrayBuffer>();
  return {
    count,
    take:
      (slot, use = 0) =>
      bytes => {
        const key = `${slot}.${use}`;
        let buffer = memory.get(key);
        if (buffer === undefined || buffer.byteLength < bytes) {
          // rows longer than a chunk are read whole
          buffer = new SharedArrayBuffer(Math.max(bytes, CHUNK_ELEMENTS * (use === 0 ? ELEMENT_BYTES : 1)));
          memory.set(key, buffer);
        }
        return new Uint8Array(buffer, 0, bytes);
      },
  };
}

export interface RowPiece {
  readonly from: number;
  readonly to: number;
}

/** The rows of a weight in pieces of about CHUNK_ELEMENTS. */
export function* rowPieces({ rows, columns }: { rows: number; columns: number }): Generator<RowPiece> {
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns));
  for (let from = 0; from < rows; from += step) yield { from, to: Math.min(rows, from + step) };
}

/** Any tensor in pieces of about 4 * CHUNK_ELEMENTS bytes, as far as its rows allow. */
export function* tensorPieces({ shape, bytes }: TensorInfo): Generator<{ offset: number; rows: RowPiece | undefined }> {
  const count = shape[0] ?? 1;
  const rowBytes = count === 0 ? 0 : bytes / count;
  if (shape.length < 2 || rowBytes === 0) {
    yield { offset: 0, rows: undefined };
    return;
  }
  const step = Math.max(1, Math.floor((ELEMENT_BYTES * CHUNK_ELEMENTS) / rowBytes));
  for (let from = 0; from < count; from += step)
    yield { offset: from * rowBytes, rows: { from, to: Math.min(count, from + step) } };
}

/** The rows of a weight for its observer: ranges are found by the pool, everything else sees decoded rows. */
export function weightRows(source: Source, weight: Weight, jobs: Jobs, buffers: Buffers): WeightRows {
  const { tensor, rows, columns, dtype } = weight;
  return {
    rows,
    columns,
    dtype,
    async *chunks(): AsyncGenerator<RowChunk> {
      for (const piece of rowPieces(weight))
        yield { fromRow: piece.from, x: widen(await source.read(tensor, piece), dtype) };
    },
    async range(whole: Grid): Promise<Range> {
      const range = emptyRange(whole);
      await flow(rowPieces(weight), Math.min(jobs.parallel, buffers.count), {
        load: (piece, slot) => source.read(tensor, piece, buffers.take(slot)),
        work(bytes, { from, to }, slot) {
          const { grid, fromRow } = cutGrid(whole, from, to);
          return jobs.run({ kind: 'range', bytes, dtype, fromRow, grid, into: rangeIn(buffers.take(slot, 1), grid) });
        },
        land({ range: seen, nonFinite }, _bytes, { from, to }) {
          if (nonFinite >= 0) throw notFinite(source, weight, from, nonFinite);
          enterRange(range, seen, cutGrid(whole, from, to).firstBlock, whole);
          return Promise.resolve();
        },
      });
      return range;
    },
  };
}

/** Memory for the range of every block of a grid. */
function rangeIn(memory: (bytes: number) => Uint8Array, { gridRows, gridColumns }: Grid): Range {
  const blocks = gridRows * gridColumns;
  const { buffer } = memory(2 * blocks * Float32Array.BYTES_PER_ELEMENT);
  return {
    min: new Float32Array(buffer, 0, blocks),
    max: new Float32Array(buffer, blocks * Float32Array.BYTES_PER_ELEMENT, blocks),
  };
}

/** Enters what was seen of the blocks from `firstBlock` on; a block of several rows may have been seen before, in part. */
function enterRange({ min, max }: Range, seen: Range, firstBlock: number, { blockRows }: Grid): void {
  if (blockRows === 1) {
    min.set(seen.min, firstBlock);
    max.set(seen.max, firstBlock);
    return;
  }
  for (let i = 0, block = firstBlock; i < seen.min.length; i++, block++) {
    if (seen.min[i]! < min[block]!) min[block] = seen.min[i]!;
    if (seen.max[i]! > max[block]!) max[block] = seen.max[i]!;
  }
}

function notFinite(source: Source, { tensor, columns }: Weight, from: number, index: number): TensorpressError {
  const row = from + Math.floor(index / columns);
  return new TensorpressError('TENSOR', `${tensor} is not finite at [${row}, ${index % columns}]`, {
    place: { file: source.tensors.get(tensor)!.file, tensor },
    hint: 'NaN and infinity cannot be quantized: the model is damaged; download it again, or leave this module out with ignore',
  });
}
