import { companionsOf } from '../runtime/model/load.js';
import { loadTokenizer, type Tokenizer } from '../runtime/text/tokenizer.js';

/** The tokenizer of a folder, which is read when someone needs it, and then once for all. */
export interface SharedTokenizer {
  readonly folder: string;
  /** Whether the folder has one at all. */
  exists(): Promise<boolean>;
  /** @throws TensorpressError MODEL when there is none, or it cannot be used */
  load(): Promise<Tokenizer>;
}

/** @param vocabulary of the model, which the tokenizer has to fit */
export function sharedTokenizer(folder: string, vocabulary: number): SharedTokenizer {
  let loaded: Promise<Tokenizer> | undefined;
  return {
    folder,
    exists: async () => (await companionsOf(folder)).some(name => /^tokenizer\.(json|model)$/.test(name)),
    load: () => (loaded ??= loadTokenizer(folder, { vocabulary })),
  };
}
