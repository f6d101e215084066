import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { TensorpressError } from '../../src/errors.js';
import { parseRecipe } from '../../src/recipe/parse.js';
import { printRecipe } from '../../src/recipe/print.js';
import { goldenFile, goldenJson, goldenList } from '../support/golden.js';

interface Case {
  name: string;
  expect: 'accept' | 'reject';
  text: string;
  reference: { ok: boolean; modifiers?: { type: string; fields: Record<string, unknown> }[] };
}

const cases = goldenJson<{ cases: Case[] }>('compressed-tensors/recipes.json')?.cases ?? [];
/** Fields that have no effect and are dropped. */
const DROPPED = ['index', 'group', 'start', 'end', 'update', 'requires_calibration_data'];

describe('golden recipes', () => {
  if (cases.length === 0) it('golden: recipes.json', function () { this.skip(); }); // prettier-ignore

  for (const { name, expect, text, reference } of cases) {
    it(`golden: ${name} is ${expect}ed`, () => {
      if (expect === 'reject') {
        const { diagnostics } = rejected(text);
        assert.ok(diagnostics.length > 0);
        for (const { message, line, column, path, code, frame } of diagnostics) {
          assert.match(message, /\S+ \S+/);
          assert.ok(line! >= 1 && column! >= 1 && frame!.includes('^'), name);
          assert.match(code, /^[a-z-]+$/);
          assert.equal(typeof path, 'string');
        }
        return;
      }
      const { recipe } = parseRecipe(text);
      const written = writtenModifiers(text);
      assert.deepEqual(
        recipe.modifiers.map(entry => Object.keys(entry)[0]),
        reference.modifiers!.map(({ type }) => type),
      );
      recipe.modifiers.forEach((entry, i) => {
        const [ours] = Object.values(entry);
        for (const [field, value] of Object.entries(written[i]!)) {
          if (!DROPPED.includes(field))
            assertAgrees(value, reference.modifiers![i]!.fields[field], ours![field], field);
        }
      });
      assertRoundTrip(text);
    });
  }

  for (const folder of goldenList('compressed-tensors/checkpoints')) {
    it(`golden: the recipes of ${folder} load, and the saved one repeats the given one`, function () {
      const input = goldenFile(`compressed-tensors/checkpoints/${folder}/recipe.input.yaml`)?.toString();
      const saved = goldenFile(`compressed-tensors/checkpoints/${folder}/recipe.yaml`)?.toString();
      if (input === undefined || saved === undefined) return this.skip();
      assertRoundTrip(input);
      assertRoundTrip(saved);
      const modifiers = parseRecipe(saved).recipe.modifiers.map(entry => Object.values(entry)[0]!);
      writtenModifiers(input).forEach((fields, i) => {
        for (const [field, value] of Object.entries(fields))
          assertAgrees(value, modifiers[i]![field], modifiers[i]![field], field);
      });
    });
  }
});

function rejected(text: string): TensorpressError {
  try {
    parseRecipe(text);
  } catch (error) {
    assert.ok(error instanceof TensorpressError && error.code === 'RECIPE', String(error));
    return error;
  }
  assert.fail('accepted');
}

/** The options of all modifiers as the text has them. */
function writtenModifiers(text: string): Record<string, unknown>[] {
  const stages = parse(text, { merge: true }) as Record<
    string,
    Record<string, Record<string, Record<string, unknown>>>
  >;
  return Object.values(stages).flatMap(stage => Object.values(stage).flatMap(group => Object.values(group)));
}

/** What the text sets has the reference's value in our normal form; null and absent, `x` and `[x]`, a preset in any case are the same. */
function assertAgrees(written: unknown, theirs: unknown, ours: unknown, where: string): void {
  if (typeof written === 'object' && written !== null) {
    for (const [key, value] of Object.entries(written)) {
      assertAgrees(value, member(theirs, key), member(ours, key), `${where}.${key}`);
    }
    if (Array.isArray(written)) assert.equal((ours as unknown[]).length, written.length, where);
    return;
  }
  assert.deepEqual(comparable(ours), comparable(theirs), where);
}

function member(value: unknown, key: string): unknown {
  return (value as Record<string, unknown> | undefined)?.[key];
}

function comparable(value: unknown): unknown {
  return typeof value === 'string' ? [value] : (value ?? null);
}

function assertRoundTrip(text: string): void {
  const { recipe } = parseRecipe(text);
  const printed = printRecipe(recipe);
  const again = parseRecipe(printed).recipe;
  assert.deepEqual(again, recipe);
  assert.equal(printRecipe(again), printed);
}
