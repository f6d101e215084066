import { TensorpressError, type Place } from '../errors.js';
import { frameOf } from './frame.js';
import { recipeError, type Finding, type Report } from './findings.js';
import { languageOf } from './language.js';
import { locate, start, toJs, wholeOf, type MapNode, type Node, type Path } from './nodes.js';
import { applyOverrides } from './overrides.js';
import { NO_PLUGINS } from './plugins/plugins.js';
import type { ParsedRecipe, Recipe } from './recipe.js';
import { checkRules } from './rules.js';
import type { Extension } from './schema.js';
import { placeOf, Source, type At } from './source.js';
import { normalForm } from './spelling.js';
import { toNative } from './stages.js';
import { checkModifiers, isIdle } from './structure.js';
import { checkSchema } from './validate.js';
import { parseYaml } from './yaml.js';

/** A recipe of thousands of layer names stays far below. */
export const MAX_BYTES = 1_000_000;

export interface RecipeOptions {
  /** `PATH=VALUE` arguments, applied to the native form. */
  overrides?: readonly string[];
  /**
   * What the plugins of the recipe bring. Without it a recipe with `plugins` may name any modifier and observer: it is read once to find its
   * plugins, then again with what they bring.
   */
  extension?: Extension;
}

/** The error for a recipe of more bytes than anybody writes. */
export function tooLarge(file: string, size: number): TensorpressError {
  const message = `${file} has ${size} bytes, a recipe at most ${MAX_BYTES}`;
  return new TensorpressError('RECIPE', message, {
    diagnostics: [{ code: 'too-large', message, file, path: '' }],
    place: { file },
  });
}

/**
 * Reads a recipe from a text, in either form, and checks everything about it that needs no model.
 *
 * @param options.file name of the text for messages; `.md` files hold the recipe between `---` lines
 * @throws TensorpressError RECIPE with every error in `diagnostics`
 */
export function parseRecipe(
  text: string,
  { file = 'recipe', overrides = [], extension }: RecipeOptions & { file?: string } = {},
): ParsedRecipe {
  if (text.length > MAX_BYTES) throw tooLarge(file, text.length);
  const findings: Finding[] = [];
  const report: Report = finding => findings.push(finding);
  const source = new Source(file, text.replace(/^\uFEFF/, ''));
  const native = readNative(source, languageOf(extension).types, report);
  if (native === undefined) throw recipeError(file, findings);

  const overridden = applyOverrides(native, overrides, report);
  const open = extension === undefined && hasPlugins(overridden);
  const known = open ? openTo(typesOf(overridden)) : extension;
  const language = languageOf(known);
  const node = checkModifiers(overridden, language.types, report);
  if (findings.length === 0 && isIdle(node)) report(nothingToDo(node));
  const recipe = normalForm(toJs(node), language.full.$defs!['native']!, language.full) as Recipe;
  const refused = checkSchema(recipe, language, typesOf(node), node, report);
  checkRules(recipe, refused, node, report, known?.observers);
  if (findings.length > 0) throw recipeError(file, findings);

  return {
    recipe,
    plugins: NO_PLUGINS,
    file,
    locate: path => placeOf(whereIs(node, path)),
    frame: place => frameOf(find(node, place) ?? start(wholeOf(source))),
  };
}

function nothingToDo(native: MapNode): Finding {
  const hint = 'name a modifier, or say under outputs what to write';
  return {
    code: 'no-modifiers',
    message: 'the recipe has no modifiers: nothing would be done',
    hint,
    at: native.entries.get('modifiers')!.key,
  };
}

function readNative(source: Source, types: readonly string[], report: Report): MapNode | undefined {
  const findings: Finding[] = [];
  const tell: Report = finding => findings.push(finding);
  const range = isMarkdown(source) ? frontMatter(source, tell) : { from: 0, to: source.text.length };
  const root = range && parseYaml(source, tell, range);
  const isEmpty = root === undefined || (root.kind === 'scalar' && root.value === null);
  if (isEmpty && findings.length === 0) {
    const hint = 'begin it with "version: 1" and "modifiers:"';
    report({ code: 'no-recipe', message: 'the recipe is empty', hint, at: start(wholeOf(source)) });
  }
  findings.forEach(report);
  return isEmpty ? undefined : toNative(root, types, report);
}

function isMarkdown({ file }: Source): boolean {
  return file.toLowerCase().endsWith('.md');
}

/** The text between the first two lines that consist of `---`, which only blank lines may precede. */
function frontMatter(source: Source, report: Report): { from: number; to: number } | undefined {
  const open = /^\s*---[ \t]*\r?\n/.exec(source.text);
  const close = open && /^---[ \t]*\r?$/m.exec(source.text.slice(open[0].length));
  if (open && close) return { from: open[0].length, to: open[0].length + close.index };
  report({
    code: 'no-recipe',
    message: 'the file has no recipe between two lines "---" at its top',
    hint: 'put it there, or name the file .yaml',
    at: start(wholeOf(source)),
  });
  return undefined;
}

/** What the plugins that are not loaded yet may bring: the modifiers of these names that are not known, and any observer. */
function openTo(types: readonly string[]): Extension {
  const { types: builtIn } = languageOf();
  const unknown = types.filter(type => /^[A-Za-z]\w*$/.test(type) && !builtIn.includes(type));
  return { modifiers: Object.fromEntries(unknown.map(type => [type, { type: 'object' }])), observers: 'any' };
}

function hasPlugins(native: MapNode): boolean {
  const plugins = native.entries.get('plugins')?.value;
  return plugins?.kind === 'list' && plugins.items.length > 0;
}

function typesOf(native: MapNode): string[] {
  const modifiers = native.entries.get('modifiers')?.value;
  const items = modifiers?.kind === 'list' ? modifiers.items : [];
  return items.flatMap(item => (item.kind === 'map' ? [...item.entries.keys()] : []));
}

/** A scalar stands for itself, everything else is shown at its key. */
function whereIs(root: Node, path: Path): At {
  const { node, key, exact } = locate(root, path);
  return exact && node.kind === 'scalar' ? node.at : key;
}

/** The key or value that begins at a place. */
function find(node: Node, place: Place): At | undefined {
  const isThere = (at: At) => {
    const { file, line, column } = placeOf(at);
    return file === place.file && line === place.line && column === place.column;
  };
  if (node.kind === 'scalar') return isThere(node.at) ? node.at : undefined;
  const children =
    node.kind === 'list' ? node.items.map(value => ({ key: value.at, value })) : [...node.entries.values()];
  for (const { key, value } of children) {
    if (isThere(key)) return key;
    const found = find(value, place);
    if (found !== undefined) return found;
  }
  return undefined;
}
