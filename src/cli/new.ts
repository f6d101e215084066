import { stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { TensorpressError } from '../errors.js';
import { diskError, errnoOf, makeFolders } from '../formats/files.js';
import { languageOf } from '../recipe/language.js';
import { observerName } from '../schemes/observer-names.js';
import { suggest } from '../schemes/suggest.js';
import { modifierFiles, namesOf, observerFiles } from './scaffolds.js';
import type { Screen } from './screen.js';

const KINDS = ['modifier', 'observer'];

/** `tensorpress new`: files to begin with, and none of them over one that exists. */
export async function newCommand(
  [kind = '', name = '']: readonly string[],
  { out = '.' }: { out?: string },
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  if (!KINDS.includes(kind)) {
    const near = suggest(kind, KINDS);
    const hint = near === undefined ? 'tensorpress new modifier NAME, or new observer NAME' : `did you mean "${near}"?`;
    throw refused(`there is no new ${kind} to make`, hint);
  }
  const names = namesOf(name);
  const example = kind === 'modifier' ? 'ClipOutliers' : 'trimmed_minmax';
  if (names === undefined) throw refused(`"${name}" is no name of ${article(kind)}`, `letters and digits: ${example}`);
  const own = kind === 'modifier' ? names.type : names.snake;
  if (kind === 'modifier' ? languageOf().types.includes(own) : observerName(own) !== undefined)
    throw refused(`tensorpress has ${article(kind)} ${own} of its own`, 'choose another name');

  const files = kind === 'modifier' ? modifierFiles(names) : observerFiles(names);
  for (const file of Object.keys(files)) {
    const path = join(out, file);
    if (await exists(path))
      throw refused(`${path} exists already; nothing was written`, 'choose another name, or another folder with --out');
  }
  await makeFolders(out).catch((error: unknown) => Promise.reject(diskError(error, out)));
  for (const [file, text] of Object.entries(files)) {
    const path = join(out, file);
    await writeFile(path, text, { flag: 'wx' }).catch((error: unknown) => Promise.reject(diskError(error, path)));
  }
  const paths = Object.keys(files).map(file => relative('.', join(out, file)));
  if (json) return screen.print(JSON.stringify({ name: own, files: paths }, null, 2));
  const [code, test, recipe] = ['.ts', '.test.ts', '.recipe.yaml'].map(end =>
    paths.find(path => path.endsWith(`${names.kebab}${end}`))!,
  );
  const rows = [
    `  ${own}, in ${paths.join(', ')}`,
    '',
    `  change it      ${code!}`,
    `  test it        tensorpress test ${test!}`,
    `  try it         tensorpress apply ${recipe!} --out ./out`,
    `  complete it    tensorpress schema --plugin ${code!} --out recipe.schema.json`,
  ];
  screen.say(rows.join('\n'));
}

const article = (kind: string) => (kind === 'observer' ? `an ${kind}` : `a ${kind}`);

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR',
  );
}

function refused(message: string, hint: string): TensorpressError {
  return new TensorpressError('ARGUMENT', message, { hint });
}
