import { calibrationRows } from '../../runtime/text/texts.js';
import { loadTokenizer } from '../../runtime/text/tokenizer.js';
import type { Calibration as Options } from '../../recipe/recipe.js';
import { batchesOf, type Batch } from '../forward/batches.js';

/** The text that flows through the model, ready to run. */
export interface CalibrationData {
  readonly batches: readonly Batch[];
  readonly tokens: number;
  readonly sequences: number;
  /** One sentence for everything that was cut, left out or changed. */
  readonly notes: readonly string[];
  /** Of the rows, in their order. */
  readonly sha256: string;
}

/**
 * Reads the rows that a recipe asks for.
 * @param options with the path of the text as it is now
 * @param folder of the model, where its tokenizer is
 * @throws TensorpressError ARGUMENT when the file cannot be used or gives no row
 */
export async function readCalibration(
  { dataset, samples = 512, sequence_length = 512, batch_size = 1, seed = 0, shuffle = true }: Options,
  folder: string,
  vocabulary: number,
): Promise<CalibrationData> {
  const { rows, tokens, notes, sha256 } = await calibrationRows(dataset!, {
    sequenceLength: sequence_length,
    samples,
    shuffle,
    seed,
    vocabulary,
    tokenizer: () => loadTokenizer(folder, { vocabulary }),
  });
  const batches = batchesOf(
    rows.map(({ ids }) => ids),
    { tokens: Infinity, count: batch_size },
  );
  return { batches, tokens, sequences: rows.length, notes, sha256 };
}
