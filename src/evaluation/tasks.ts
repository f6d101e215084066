import { TensorpressError } from '../errors.js';
import { isCount, isRecord } from '../formats/records.js';
import { meanOf } from './statistics.js';

/** A question with its possible continuations. */
export interface Question {
  readonly context: string;
  readonly choices: readonly string[];
  /** Index of the right choice. */
  readonly answer: number;
}

/**
 * Questions of a JSONL file: one object {context, choices, answer} per line, other keys ignored, empty lines skipped.
 * @param file as messages show it
 * @throws TensorpressError ARGUMENT with file and line
 */
export function parseTask(text: string, file: string): Question[] {
  const questions: Question[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() !== '') questions.push(parseQuestion(line, { file, line: index + 1 }));
  });
  if (questions.length === 0) throw malformed({ file }, `${file} holds no questions`);
  return questions;
}

interface LinePlace {
  readonly file: string;
  readonly line: number;
}

function parseQuestion(text: string, place: LinePlace): Question {
  const fail = (problem: string) => malformed(place, `${place.file}:${place.line}: ${problem}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail('this line is not JSON');
  }
  if (!isRecord(value)) throw fail('this line is not an object');
  const { context, choices, answer } = value;
  if (typeof context !== 'string') throw fail('context is not a text');
  if (!Array.isArray(choices) || choices.length < 2) throw fail('choices is not a list of two texts or more');
  if (!choices.every((choice): choice is string => typeof choice === 'string' && choice.trim() !== '')) {
    throw fail('choices holds something that is not a text, or an empty one');
  }
  if (!isCount(answer) || answer >= choices.length) {
    throw fail(`answer is not the index of a choice, 0 to ${choices.length - 1}`);
  }
  return { context, choices, answer };
}

function malformed(place: { file: string; line?: number }, message: string): TensorpressError {
  return new TensorpressError('ARGUMENT', message, {
    place: { ...place },
    hint: 'a line reads {"context": "The sky is", "choices": ["blue", "seven"], "answer": 0}',
  });
}

/** A choice as tokens: the model reads all, the last `scored` are those whose log likelihoods count. */
export interface EncodedChoice {
  readonly ids: Int32Array;
  readonly scored: number;
}

/**
 * Context and choice as lm-evaluation-harness tokenizes them: a space stands between them, white space at the end of the context belongs to what
 * follows, and the tokens of the choice are those of both together without as many as the context has alone, at least one. Where the context is empty, the
 * prefix token takes its place.
 * @param encode tokens of a text; no token is added
 * @param prefix the token before a text, BOS or else EOS
 */
export function encodeChoice(
  context: string,
  choice: string,
  encode: (text: string) => ArrayLike<number>,
  prefix: number,
): EncodedChoice {
  const kept = context.trimEnd();
  const continuation = `${context.slice(kept.length)} ${choice}`;
  if (kept === '') {
    const ids = encode(continuation);
    return { ids: Int32Array.from([prefix, ...Array.from(ids)]), scored: ids.length };
  }
  const ids = Int32Array.from(encode(kept + continuation));
  return { ids, scored: Math.max(1, ids.length - encode(kept).length) };
}

export interface TaskFigures {
  /** Share of questions whose right choice has the largest log likelihood. */
  readonly accuracy: number;
  readonly accuracy_error: number;
  /** The same of log likelihoods per character of the choice. */
  readonly accuracy_norm: number;
  readonly accuracy_norm_error: number;
  readonly questions: number;
}

/**
 * Accuracies as lm-evaluation-harness computes them: a choice's log likelihood is the sum over its tokens, its length that in Unicode code points
 * without the space before it; the first of equal choices wins. Errors are those of the mean of the sample.
 * @param logLikelihoods in nats, one per question and choice
 */
export function taskFigures(
  questions: readonly Question[],
  logLikelihoods: readonly (readonly number[])[],
): TaskFigures {
  const right = questions.map(({ answer }, i) => (largest(logLikelihoods[i]!) === answer ? 1 : 0));
  const rightPerCharacter = questions.map(({ choices, answer }, i) => {
    const perCharacter = choices.map((choice, c) => logLikelihoods[i]![c]! / Array.from(choice).length);
    return largest(perCharacter) === answer ? 1 : 0;
  });
  const [plain, normed] = [meanOf(right), meanOf(rightPerCharacter)];
  return {
    accuracy: plain.mean,
    accuracy_error: plain.error,
    accuracy_norm: normed.mean,
    accuracy_norm_error: normed.error,
    questions: questions.length,
  };
}

const largest = (values: readonly number[]): number => values.indexOf(Math.max(...values));
