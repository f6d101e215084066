import { createHash } from 'node:crypto';
import { readFile, realpath, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { TensorpressError } from '../errors.js';
import { writeWhole } from '../formats/files.js';
import { quantizationConfig, sortedJson } from '../outputs/quantization-config.js';
import { parseRecipe } from '../recipe/parse.js';
import type { Plan } from '../recipe/plan.js';
import { printRecipe } from '../recipe/print.js';
import type { Recipe } from '../recipe/recipe.js';
import type { Model } from '../runtime/model/model.js';
import type { ApplyOptions, Applied } from './apply.js';
import { modelCard } from './card.js';
import { execute, type PartResult } from './execute.js';
import { claimFolder, clearOld, folderState, hashFile, makeFolder, type FileHash } from './files.js';
import { compareFingerprints, fingerprintOf } from './fingerprint.js';
import { reportHtml } from './html/page.js';
import { openJournal, readJournal } from './journal.js';
import { lockFolder, STATE } from './lock.js';
import { reportMarkdown } from './markdown.js';
import { createJobs } from './pool.js';
import { prepare, type Prepared } from './prepare.js';
import { buildReport, type Report } from './report.js';
import { threadsFor } from './threads.js';
import { formatBytes } from './units.js';
import { VERSION } from './version.js';
import { createBuffers } from './weights.js';

/** A run from recipe to finished folder: plan, lock, journal, parts, names, report. It is the body of `apply`, in a thread of its own. */
export async function runSession(options: ApplyOptions): Promise<Applied> {
  const { onEvent = () => {}, now = () => performance.now(), force = false } = options;
  const folder = resolve(options.out);
  const start = now();
  await claimFolder(folder, force);
  const prepared = await prepare({ ...options, out: folder });
  const { source } = prepared.plan.model;
  try {
    await refuseSource(folder, prepared.plan.model);
    onEvent({ type: 'plan', plan: prepared.summary });
    const lock = await lockFolder(folder);
    try {
      // seen again under the lock: another run may have finished meanwhile
      await claimFolder(folder, force);
      return await underLock(prepared, options, { folder, start });
    } finally {
      await lock.release();
    }
  } finally {
    await source.close();
  }
}

async function underLock(
  prepared: Prepared,
  options: ApplyOptions,
  { folder, start }: { folder: string; start: number },
): Promise<Applied> {
  const { onEvent = () => {}, now = () => performance.now(), date = new Date(), force = false } = options;
  const signal = options.signal ?? new AbortController().signal;
  const { plan, outputs, summary } = prepared;
  const recipe = await carryInputs(prepared, options.recipe, folder);
  const recipeText = printRecipe(recipe);

  const journalPath = join(folder, STATE, 'journal.jsonl');
  const fingerprint = await fingerprintOf(plan.model, recipeText, VERSION);
  const before = await readJournal(journalPath);
  const resuming = before.fingerprint !== undefined && !force;
  if (resuming) compareFingerprints(before.fingerprint!, fingerprint, folder);
  else await checkSpace(folder, summary.estimate.disk_bytes);
  const finished = resuming ? before.parts : new Map<string, PartResult>();

  const jobs = createJobs(options.threads ?? threadsFor(plan.model));
  const opened: (typeof outputs)[number][] = [];
  let results: PartResult[];
  try {
    for (const [i, output] of outputs.entries()) {
      opened.push(output);
      await output.open(
        new Set(
          [...finished.values()].flatMap(({ tensors }) => tensors.filter(t => t.output === i).map(t => t.tensor)),
        ),
      );
    }
    const journal = await openJournal(journalPath, resuming ? before.bytes : 0);
    try {
      if (!resuming) await journal.append({ fingerprint });
      // a part is made durable while the next one is worked on, one at a time
      let durable = Promise.resolve();
      const commit = async (result: PartResult) => {
        await durable;
        durable = Promise.all(outputs.map(output => output.sync())).then(() =>
          journal.append({ ...result, streams: [] }),
        );
        durable.catch(() => {}); // reported where it is awaited
      };
      const buffers = createBuffers(jobs.parallel + 1);
      results = await execute({ plan, outputs, jobs, buffers, finished, commit, onEvent, signal, now });
      await durable;
    } finally {
      await journal.close();
    }
    await clearOld(folder, await listedOutputs(folder));
    for (const output of outputs) await output.finish();
  } catch (error) {
    for (const output of opened) await output.close();
    throw error;
  } finally {
    await jobs.close();
  }

  const sources = await sourceHashes(plan.model, results);
  const seconds = (now() - start) / 1000;
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  const report = buildReport({ plan: summary, results, version: VERSION, date, seconds, peakMemory });
  for (const output of outputs) {
    await carryCompanions(plan.model, output.folder);
    await writeWhole(join(output.folder, 'README.md'), modelCard(report, printRecipe(withoutHistory(recipe))));
  }
  await writeWhole(join(folder, 'recipe.yaml'), recipeText);
  await writeWhole(join(folder, 'report.json'), JSON.stringify(report, null, 2) + '\n');
  await writeWhole(join(folder, 'report.md'), reportMarkdown(report));
  await writeWhole(join(folder, 'report.html'), await reportHtml(report));
  for (const output of outputs) await writeWhole(join(output.folder, 'config.json'), checkpointConfig(plan));
  const record = await runRecord(prepared, options, {
    results,
    sources,
    report,
    folder,
    fingerprint: sha256Of(fingerprint),
  });
  await writeWhole(join(folder, 'run.json'), JSON.stringify(record, null, 2) + '\n');
  await rm(join(folder, STATE), { recursive: true, force: true });
  onEvent({ type: 'done', report, folder });
  return { folder, report };
}

/** config.json of the result: the source's, with the quantization described, and with the truth about tied embeddings. */
function checkpointConfig({ model, outcome }: Plan): string {
  const config: Record<string, unknown> = { ...model.config };
  if (outcome.tied !== model.tiedByConfig) {
    config['tie_word_embeddings'] = outcome.tied;
    const text = config['text_config'];
    if (text !== null && typeof text === 'object' && 'tie_word_embeddings' in text) {
      config['text_config'] = { ...text, tie_word_embeddings: outcome.tied };
    }
  }
  if (outcome.schemes.size > 0) config['quantization_config'] = quantizationConfig(model.modules, outcome.schemes);
  return sortedJson(config);
}

async function refuseSource(folder: string, model: Model): Promise<void> {
  const real = async (path: string) => realpath(path).catch(() => path);
  const [out, source] = [await real(folder), await real(model.folder)];
  if (out === source || source.startsWith(out + sep)) {
    throw new TensorpressError('ARGUMENT', `the output folder ${folder} holds the model itself`, {
      hint: 'choose another folder with --out',
    });
  }
}

/**
 * The recipe as it is saved: files that it names are copied to `inputs/`, earlier recipes of the source stand under `history`.
 * Applied again, it does the same.
 */
async function carryInputs({ parsed, plan }: Prepared, recipePath: string, folder: string): Promise<Recipe> {
  const recipe = { ...parsed.recipe };
  delete recipe.history;
  const dataset = recipe.calibration?.dataset;
  if (dataset !== undefined) {
    const from = resolve(dirname(recipePath), dataset);
    if (!(await stat(from).catch(() => undefined))?.isFile()) {
      throw new TensorpressError('PLAN', `calibration.dataset: there is no file ${from}`, {
        place: parsed.locate(['calibration', 'dataset']),
      });
    }
    const name = `inputs/${basename(from)}`;
    await makeFolder(join(folder, 'inputs'));
    if (from !== join(folder, name)) await writeWhole(join(folder, name), await readFile(from));
    recipe.calibration = { ...recipe.calibration, dataset: `./${name}` };
  }
  const history = await sourceHistory(plan.model.folder);
  return history.length > 0 ? { ...recipe, history } : recipe;
}

async function sourceHistory(folder: string): Promise<unknown[]> {
  const path = join(folder, 'recipe.yaml');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  try {
    const { history = [], ...recipe } = parseRecipe(text, { file: path }).recipe;
    return [...history, recipe];
  } catch {
    return [{ text }]; // a recipe that does not load is kept as it was written
  }
}

async function carryCompanions({ folder, companions }: Model, to: string): Promise<void> {
  for (const name of companions) {
    await makeFolder(dirname(join(to, name)));
    await writeWhole(join(to, name), await readFile(join(folder, name)));
  }
}

function withoutHistory({ history: _, ...recipe }: Recipe): Recipe {
  return recipe;
}

/** What an earlier run.json in the folder says that it wrote. */
async function listedOutputs(folder: string): Promise<string[]> {
  const text = await readFile(join(folder, 'run.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  try {
    const { outputs } = JSON.parse(text) as { outputs?: { path: unknown }[] };
    return (outputs ?? []).flatMap(({ path }) =>
      typeof path === 'string' && !path.includes('..') && !path.startsWith('/') ? [path] : [],
    );
  } catch {
    return [];
  }
}

const sha256Of = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** A run that cannot fit is refused before it starts. */
async function checkSpace(folder: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= needed) return;
  const sentence = `the disk is too full: the result takes ${formatBytes(needed)}, and ${formatBytes(bavail * bsize)} are free`;
  throw new TensorpressError('DISK', sentence, {
    place: { file: folder },
    hint: 'free some space or choose another folder with --out',
  });
}

/** Hashes of all source tensors; those that the run had no use for (a second copy of tied embeddings) are inputs all the same. */
async function sourceHashes({ source }: Model, results: readonly PartResult[]): Promise<Map<string, string>> {
  const hashes = new Map(results.flatMap(({ record }) => Object.entries(record.sources)));
  for (const name of source.tensors.keys()) {
    if (!hashes.has(name))
      hashes.set(
        name,
        createHash('sha256')
          .update(await source.read(name))
          .digest('hex'),
      );
  }
  return hashes;
}

interface Outcome {
  readonly results: readonly PartResult[];
  readonly sources: ReadonlyMap<string, string>;
  readonly report: Report;
  readonly folder: string;
  readonly fingerprint: string;
}

async function runRecord(
  { plan, outputs, summary, commit }: Prepared,
  options: ApplyOptions,
  { results, sources, report, folder, fingerprint }: Outcome,
) {
  const { model } = plan;
  const weights = model.source.files.map(({ path, bytes }) => ({
    path,
    sha256: treeHash(model, path, sources),
    bytes,
    tree: true,
  }));
  const others = await Promise.all([
    hashFile(resolve(options.recipe), options.recipe),
    ...['config.json', ...model.companions].map(name => hashFile(join(model.folder, name), name)),
  ]);
  const written: FileHash[] = [];
  for (const output of outputs) {
    for (const name of ['config.json', 'README.md', ...output.files.map(file => file.name), ...model.companions]) {
      const path = join(output.folder, name);
      written.push(await hashFile(path, relative(folder, path).split(sep).join('/')));
    }
  }
  for (const name of ['recipe.yaml', 'report.json', 'report.md', 'report.html'])
    written.push(await hashFile(join(folder, name), name));
  return {
    version: 1,
    tensorpress: VERSION,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    date: report.date,
    fingerprint,
    model: { name: model.name, folder: model.folder, ...(commit === undefined ? {} : { commit }) },
    recipe: options.recipe,
    options: { set: options.set ?? [], threads: options.threads ?? null },
    seeds: { recipe: plan.recipe.calibration?.seed ?? 0 },
    inputs: [...others, ...weights],
    outputs: written.sort((a, b) => (a.path < b.path ? -1 : 1)),
    observers: Object.fromEntries(
      results.flatMap(({ record }) => Object.entries(record.modules).map(([name, { observer }]) => [name, observer])),
    ),
    estimate: summary.estimate,
    timings: { seconds: report.seconds },
    peak_memory_bytes: report.peak_memory_bytes,
  };
}

/** SHA-256 over the sorted lines `name dtype shape sha256` of a file's tensors, each ended by a newline; shape as JSON. */
function treeHash({ source }: Model, file: string, hashes: ReadonlyMap<string, string>): string {
  const lines = [...source.tensors.values()]
    .filter(tensor => tensor.file === file)
    .map(({ name, dtype, shape }) => `${name} ${dtype} ${JSON.stringify(shape)} ${hashes.get(name)}\n`)
    .sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}
