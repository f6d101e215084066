import { createHash } from 'node:crypto';
import type { CodesEdit } from '../modifiers/modifier.js';
import type { Source } from '../formats/source.js';
import { emptyError, finishError, type ErrorSums, type QuantizationError } from '../numerics/error.js';
import type { Output } from '../outputs/output.js';
import type { Weight } from '../runtime/model/model.js';
import type { QuantizationArgs } from '../schemes/args.js';
import { weightGrid } from '../schemes/grids.js';
import { flow } from './flow.js';
import { cutGrid, cutParameters, shareParameters } from './jobs.js';
import type { Jobs } from './pool.js';
import { rowPieces, type Buffers } from './weights.js';

/** A weight whose codes are to be stored. */
export interface Encode {
  readonly edit: CodesEdit;
  readonly weight: Weight;
  readonly args: QuantizationArgs;
  /** Holds the weight as it was before the edit. */
  readonly source: Source;
  readonly outputs: readonly Output[];
  readonly jobs: Jobs;
  readonly buffers: Buffers;
  /** Called with the bytes that were read. */
  readonly onBytes: (bytes: number) => void;
}

/** What became of it. */
export interface Encoded {
  /** SHA-256 of the bytes that were read. */
  readonly read: string;
  /** By output: the tensor of the codes, and its SHA-256. */
  readonly stored: readonly { readonly tensor: string; readonly sha256: string }[];
  readonly error: QuantizationError;
  /** How often each code occurs, [256], by the code's low byte. */
  readonly usage: readonly number[];
  /** The squared error that the reference's arithmetic would have left, where another one ran. */
  readonly referenceError?: number;
}

/** Makes the codes of a weight, or takes those that are known, and writes them to all outputs, a piece of the rows at a time. */
export async function encode({
  edit,
  weight,
  args,
  source,
  outputs,
  jobs,
  buffers,
  onBytes,
}: Encode): Promise<Encoded> {
  const { rows, columns, dtype, tensor } = weight;
  const whole = weightGrid(args, rows, columns);
  const encodings = outputs.map(output => output.encoding(edit.module));
  const parameters = shareParameters(edit);
  const error = emptyError(rows);
  const usage = new Float64Array(256);
  let referenceError: Float64Array | undefined;
  const sourceHash = createHash('sha256');
  const storedHashes = encodings.map(() => createHash('sha256'));
  await flow(rowPieces(weight), Math.min(jobs.parallel, buffers.count), {
    load: (piece, slot) => source.read(tensor, piece, buffers.take(slot)),
    work(bytes, { from, to }, slot) {
      const { grid, fromRow, firstBlock } = cutGrid(whole, from, to);
      return jobs.run({
        kind: 'encode',
        bytes,
        dtype,
        fromRow,
        grid,
        parameters: cutParameters(parameters, firstBlock, grid),
        spec: encodings[0]!.spec,
        arithmetic: edit.arithmetic,
        codes: edit.codes === 'nearest' ? null : edit.codes.slice(from * columns, to * columns),
        groupIndex: edit.groupIndex ?? null,
        formats: encodings.map(({ format }) => format),
        into: encodings.map(({ rowBytes }, i) => buffers.take(slot, 1 + i)((to - from) * rowBytes)),
      });
    },
    async land(result, bytes, { from }) {
      sourceHash.update(bytes);
      for (const [i, encoded] of result.encoded.entries()) {
        storedHashes[i]!.update(encoded);
        await outputs[i]!.write(encodings[i]!.tensor, from * encodings[i]!.rowBytes, encoded);
      }
      enter(error, result.error, from);
      if (result.referenceError !== null) (referenceError ??= new Float64Array(rows)).set(result.referenceError, from);
      for (let code = 0; code < 256; code++) usage[code]! += result.usage[code]!;
      onBytes(bytes.length);
    },
  });
  return {
    read: sourceHash.digest('hex'),
    stored: encodings.map((encoding, i) => ({ tensor: encoding.tensor, sha256: storedHashes[i]!.digest('hex') })),
    error: finishError(error),
    usage: [...usage],
    ...(referenceError && { referenceError: referenceError.reduce((sum, v) => sum + v, 0) }),
  };
}

/** Rows of a chunk among those of the weight. */
function enter(all: ErrorSums, rows: ErrorSums, from: number): void {
  all.squaredError.set(rows.squaredError, from);
  all.squares.set(rows.squares, from);
  all.maxError.set(rows.maxError, from);
}
