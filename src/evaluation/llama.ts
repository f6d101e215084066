import { TensorpressError } from '../errors.js';
import { scoredTokens, type LogitsFile } from '../formats/logits-file.js';
import { scoresFor, type Scores } from './scores.js';
import { indexOfLargest } from './statistics.js';

/** Log probabilities of the base that are no larger do not count in a KL: files hold nothing below. */
const FLOOR = -16;

/**
 * Negative log likelihoods of the tokens that llama-perplexity scored; `perplexityOf` makes its perplexity of them.
 * @throws TensorpressError TENSOR when the file is damaged
 */
export async function nllsOf(logits: LogitsFile): Promise<Float64Array> {
  const targets = targetsOf(logits);
  const nlls = new Float64Array(targets.length);
  let i = 0;
  for await (const row of logits.rows()) {
    nlls[i] = -row[targets[i]!]!;
    i++;
  }
  return nlls;
}

/**
 * Compares two models by their files of logits, in the arithmetic of llama-perplexity: KL is the sum of exp(a) (a - b) over the tokens whose log
 * probability a in the base is above -16. As probabilities are rounded there, it may be a little below 0.
 * @throws TensorpressError ARGUMENT when the files are not about the same text, TENSOR when one is damaged
 */
export async function scoresOf(base: LogitsFile, model: LogitsFile): Promise<Scores> {
  checkSameText(base, model);
  const targets = targetsOf(base);
  const scores = scoresFor(targets.length, { logits: false });
  const modelRows = model.rows();
  let i = 0;
  for await (const a of base.rows()) {
    const { value } = await modelRows.next();
    const b = value!;
    const [target, topA, topB] = [targets[i]!, indexOfLargest(a), indexOfLargest(b)];
    scores.baseNll[i] = -a[target]!;
    scores.modelNll[i] = -b[target]!;
    scores.kl[i] = divergence(a, b);
    scores.sameTop[i] = topA === topB ? 1 : 0;
    scores.deltaP[i] = Math.exp(b[target]!) - Math.exp(a[target]!);
    i++;
  }
  return scores;
}

function divergence(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let v = 0; v < a.length; v++) if (a[v]! > FLOOR) sum += Math.exp(a[v]!) * (a[v]! - b[v]!);
  return sum;
}

const targetsOf = (logits: LogitsFile): Int32Array => scoredTokens(logits).map(place => logits.tokens[place]!);

function checkSameText(base: LogitsFile, model: LogitsFile): void {
  for (const what of ['vocabulary', 'context', 'chunks'] as const) {
    if (base[what] === model[what]) continue;
    const values = `${base[what]} in ${base.file} and ${model[what]} in ${model.file}`;
    throw otherText(model, what === 'chunks' ? `there are ${values} chunks` : `the ${what} is ${values}`);
  }
  const at = base.tokens.findIndex((token, i) => token !== model.tokens[i]);
  if (at >= 0) throw otherText(model, `${base.file} and ${model.file} hold different texts from token ${at} on`);
}

function otherText({ file }: LogitsFile, message: string): TensorpressError {
  return new TensorpressError('ARGUMENT', message, {
    place: { file },
    hint: 'run llama-perplexity on both models with the same text, -c and --chunks',
  });
}
