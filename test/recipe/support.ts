import assert from 'node:assert/strict';
import { TensorpressError } from '../../src/errors.js';
import { formatDiagnostics } from '../../src/recipe/findings.js';
import { parseRecipe, type RecipeOptions } from '../../src/recipe/parse.js';
import { printRecipe } from '../../src/recipe/print.js';
import type { Recipe } from '../../src/recipe/recipe.js';

/** The error of a recipe that must not pass. */
export function rejected(text: string, options: RecipeOptions & { file?: string } = {}): TensorpressError {
  try {
    parseRecipe(text, options);
  } catch (error) {
    assert.ok(error instanceof TensorpressError && error.code === 'RECIPE', String(error));
    return error;
  }
  assert.fail(`accepted: ${text}`);
}

/** `line:column message` of every finding. */
export function findings(text: string, options: RecipeOptions & { file?: string } = {}): string[] {
  return rejected(text, options).diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

/** What the terminal shows, each line without its indentation of two. */
export function shown(text: string, options: RecipeOptions & { file?: string } = {}): string {
  return formatDiagnostics(rejected(text, { file: 'r.yaml', ...options }));
}

/** Parses a recipe and makes sure that printing it gives the same recipe, and printing that the same text. */
export function roundTrip(text: string): Recipe {
  const { recipe } = parseRecipe(text);
  const printed = printRecipe(recipe);
  const again = parseRecipe(printed).recipe;
  assert.deepEqual(again, recipe);
  assert.equal(printRecipe(again), printed);
  return recipe;
}

/** A recipe with one modifier, written in flow style on its third line. */
export function one(type: string, options: string): string {
  return `version: 1\nmodifiers:\n  - ${type}: ${options}\n`;
}
