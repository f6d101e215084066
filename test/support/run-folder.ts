import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './temp.js';

/** A recipe that fits models of any width, with these outputs. */
export function recipeFile(...outputs: readonly string[]): string {
  const path = join(tempFolder(), 'recipe.yaml');
  const lines = [
    'version: 1',
    'modifiers:',
    '  - QuantizationModifier: {scheme: FP8_DYNAMIC, targets: [Linear], ignore: [lm_head]}',
    ...(outputs.length > 0 ? ['outputs:', ...outputs.map(output => `  - ${output}`)] : []),
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Static scales, then GPTQ, both calibrated on a few tokens below 80; two outputs. */
export function calibratedRecipe(): string {
  const folder = tempFolder();
  const path = join(folder, 'recipe.yaml');
  const rows = [0, 1, 2].map(row => Array.from({ length: 6 }, (_, i) => (i * 7 + row * 31) % 80));
  writeFileSync(join(folder, 'tokens.json'), JSON.stringify({ input_ids: rows }));
  const lines = [
    'version: 1',
    'modifiers:',
    '  - QuantizationModifier: {scheme: FP8, targets: ["re:.*self_attn.*_proj"]}',
    '  - GPTQModifier: {config_groups: {g: {targets: ["re:.*mlp.*_proj"], weights: {num_bits: 4, group_size: 32}}}}',
    'calibration: {dataset: ./tokens.json, shuffle: false, batch_size: 2}',
    'outputs:',
    '  - {format: compressed-tensors, max_shard_size: 20KB}',
    '  - {format: compressed-tensors, name: second}',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Every file of a folder, relative, with its SHA-256. Of run.json and the reports, what does not depend on time and place. */
export function snapshot(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name =>
    statSync(join(folder, name)).isFile(),
  );
  return Object.fromEntries(files.sort().map(name => [name, digest(folder, name)]));
}

function digest(folder: string, name: string): string {
  const data = readFileSync(join(folder, name));
  if (name === 'run.json' || name === 'report.json') return JSON.stringify(timeless(JSON.parse(data.toString())));
  if (name === 'report.md' || name === 'report.html') return 'a report';
  return createHash('sha256').update(data).digest('hex');
}

const OF_TIME = new Set([
  'date',
  'seconds',
  'timings',
  'peak_memory_bytes',
  'estimate',
  'folder',
  'recipe',
  'fingerprint',
]);

function timeless(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(timeless);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([key]) => !OF_TIME.has(key));
  const { path } = value as { path?: unknown };
  const changing = typeof path === 'string' && (/^report\./.test(path) || /recipe\.yaml$/.test(path));
  return changing ? path : Object.fromEntries(entries.map(([key, inner]) => [key, timeless(inner)]));
}

/** An unfinished folder must not be taken for a result: weights have no names before all of them are there, run.json comes last. */
export function assertUnfinished(folder: string): void {
  if (!existsSync(folder)) return;
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  assert.ok(!names.includes('run.json'));
  const config = names.some(name => /(^|\/)config\.json$/.test(name));
  const partial = names.some(name => name.endsWith('.safetensors.partial'));
  assert.ok(!config || !partial, `config.json is there before the weights are: ${names.join(' ')}`);
  const named = names.some(name => name.endsWith('.safetensors'));
  const { parts, all } = progressOf(folder);
  assert.ok(!named || parts === all, 'weights have their names before all parts are done');
}

function progressOf(folder: string): { parts: number; all: number } {
  const journal = join(folder, '.tensorpress/journal.jsonl');
  if (!existsSync(journal)) return { parts: 0, all: Infinity };
  // what follows the last newline was torn by the kill, and counts for nothing
  const lines = readFileSync(journal, 'utf8').split('\n').slice(0, -1);
  const parsed = lines.map(line => JSON.parse(line));
  const parts = parsed.filter(line => 'part' in line).map(({ part }) => part as string);
  return { parts: parts.length, all: parts.includes('head') ? parts.length : Infinity };
}
