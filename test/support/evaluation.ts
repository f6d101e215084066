import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/formats/safetensors/source.js';
import { widen } from '../../src/numerics/dtypes.js';
import type { EvaluateTask, Evaluation } from '../../src/run/evaluate.js';
import { runEvaluation } from '../../src/run/evaluation.js';
import { tempFolder } from './temp.js';

export interface Logits {
  readonly evaluation: Evaluation;
  /** [tokens, vocabulary] of each row. */
  readonly rows: readonly Float32Array[];
}

/** A file of token ids. */
export function tokenFile(rows: readonly (readonly number[])[]): string {
  return textFile('rows.json', JSON.stringify({ input_ids: rows }));
}

export function textFile(name: string, text: string): string {
  const path = join(tempFolder(), name);
  writeFileSync(path, text);
  return path;
}

/** An evaluation in this thread. */
export function run(options: EvaluateTask): Promise<Evaluation> {
  return runEvaluation({ threads: 1, ...options }, () => {});
}

/** What `eval --logits` writes. */
export async function logits(options: Omit<EvaluateTask, 'logits'>): Promise<Logits> {
  const path = join(tempFolder(), 'logits.safetensors');
  const evaluation = await run({ ...options, logits: path });
  return { evaluation, rows: await readLogits(path) };
}

export async function readLogits(path: string): Promise<Float32Array[]> {
  const source = await openSafetensors(path);
  try {
    const rows: Float32Array[] = [];
    for (let i = 0; i < source.tensors.size; i++) rows.push(widen(await source.read(`row${i}`), 'F32').slice());
    return rows;
  } finally {
    await source.close();
  }
}

/** -log softmax(logits)[target], of a row of the vocabulary. */
export function nll(row: Float32Array, target: number): number {
  const largest = row.reduce((a, b) => Math.max(a, b));
  return largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0)) - row[target]!;
}

/** Largest difference of two arrays; NaN, which is below no bound, where one is not a number. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(error)) return NaN;
    largest = Math.max(largest, error);
  }
  return largest;
}

export function rmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) sum += (actual[i]! - expected[i]!) ** 2;
  return Math.sqrt(sum / expected.length);
}
