import { TensorpressError } from '../errors.js';
import { extname } from 'node:path';
import { evaluationRows, hashRows, type TokenRows } from '../runtime/text/texts.js';
import type { Tokenizer } from '../runtime/text/tokenizer.js';
import type { EvaluateOn } from './evaluate.js';
import type { SharedTokenizer } from './shared-tokenizer.js';

/** The rows that an evaluation runs, by its protocol. */
export async function windowsOf(
  options: EvaluateOn,
  { load }: SharedTokenizer,
  vocabulary: number,
): Promise<TokenRows> {
  const { data, context = 512, stride, windows, protocol } = options;
  if (protocol === 'llama') return llamaWindows(options, load, vocabulary);
  return evaluationRows(data, {
    context,
    vocabulary,
    tokenizer: load,
    ...(stride === undefined ? {} : { stride }),
    ...(windows === undefined ? {} : { windows }),
  });
}

/**
 * Windows as llama-perplexity makes them: the text is tokenized once with BOS where the tokenizer adds it, a window's first token is replaced by
 * BOS while it runs, and the predictions of its second half are scored.
 */
async function llamaWindows(
  { data, context = 512, stride, windows = Infinity }: EvaluateOn,
  load: () => Promise<Tokenizer>,
  vocabulary: number,
): Promise<TokenRows> {
  if (stride !== undefined) {
    throw new TensorpressError('ARGUMENT', 'the llama protocol has no stride', {
      hint: 'leave out --stride, or --protocol',
    });
  }
  if (extname(data) !== '.txt') {
    throw new TensorpressError('ARGUMENT', `the llama protocol reads a .txt file, and ${data} is none`, {
      hint: 'leave out --protocol',
    });
  }
  // a text of its own tokenizer: BOS is put before it here, so that everything else is read and checked as always
  const tokenizer = await load();
  const { bos, addsBos } = tokenizer;
  let tokens = 0;
  const withBos: Tokenizer = {
    ...tokenizer,
    encode(text, how) {
      const ids = tokenizer.encode(text, how);
      if (addsBos && bos !== undefined) ids.unshift(bos);
      tokens = ids.length;
      return ids;
    },
  };
  const rows = await evaluationRows(data, {
    context,
    vocabulary,
    tokenizer: () => Promise.resolve(withBos),
    windows,
  });
  if (tokens < 2 * context) {
    throw new TensorpressError('ARGUMENT', `the llama protocol needs two windows of ${context} tokens at least`, {
      place: { file: data },
      hint: 'choose a smaller --context, or a longer text',
    });
  }
  const scoredFrom = Math.floor(context / 2) + 1;
  const first = (ids: Int32Array) => {
    if (addsBos && bos !== undefined) ids[0] = bos;
    return ids;
  };
  const windowed = rows.rows.map(({ ids }) => ({ ids: first(ids), scoredFrom }));
  return { ...rows, rows: windowed, sha256: hashRows(windowed) };
}
