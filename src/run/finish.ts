import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, writeWhole } from '../formats/files.js';
import { checkpointConfig } from '../outputs/config-json.js';
import { printRecipe } from '../recipe/print.js';
import type { Applied, ApplyOptions } from './apply.js';
import { modelCard } from './card.js';
import type { PartResult } from './execute.js';
import { clearOld, journalPath } from './files.js';
import { sha256 } from './hash.js';
import { reportHtml } from './html/page.js';
import { carry, type Inputs } from './inputs.js';
import type { Journal, JournalHead, Step } from './journal.js';
import { reportMarkdown } from './markdown.js';
import type { Prepared } from './prepare.js';
import { hashOutputs, hashSources, runRecord } from './record.js';
import { judgeResult } from './judge-result.js';
import { hiddenFolder } from './lock.js';
import { buildReport, withQuality, type CalibrationReport } from './report.js';
import type { Stopping } from './stopping.js';
import { VERSION } from './version.js';

export interface Ending {
  readonly prepared: Prepared;
  readonly inputs: Inputs;
  readonly options: ApplyOptions;
  readonly folder: string;
  readonly head: JournalHead;
  readonly journal: Journal;
  /** How far an earlier attempt has come. */
  readonly step: Step | undefined;
  readonly results: readonly PartResult[];
  /** When the run began, by its clock. */
  readonly start: number;
  readonly stopping: Stopping;
  /** What flowed through the model. */
  readonly calibration: CalibrationReport | undefined;
}

/** Everything after the last part: steps 4 to 9 of a run, as `runSession` describes them. */
export async function finishRun(ending: Ending): Promise<Applied> {
  const { prepared, inputs, options, folder, head, journal, step, results, start, stopping, calibration } = ending;
  const { onEvent = () => {}, now = () => performance.now(), date = new Date() } = options;
  const { plan, outputs, summary } = prepared;
  if (head.replaces.length > 0 && step !== 'name') {
    if (step === undefined) await journal.append({ step: 'clear' });
    await clearOld(folder, head.replaces);
    await journal.append({ step: 'name' });
  }
  for (const output of outputs) await output.finish();

  for (const file of inputs.carried) await carry(file, folder);
  const sources = await hashSources(plan.model.source, results);
  // of the compression: the evaluation has figures of its own
  const seconds = (now() - start) / 1000;
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  const quality = await judgeResult(prepared, inputs, options, stopping);

  const built = buildReport({
    plan: summary,
    results,
    version: VERSION,
    date,
    seconds,
    peakMemory,
    ...(calibration && { calibration }),
  });
  const report = quality === undefined ? built : withQuality(built, quality);
  const { history: _, ...recipe } = inputs.recipe;
  const card = modelCard(report, printRecipe(recipe));
  for (const output of outputs) await writeWhole(join(output.folder, 'README.md'), card);
  await writeWhole(join(folder, 'recipe.yaml'), inputs.recipeText);
  await writeWhole(join(folder, 'report.json'), JSON.stringify(report, null, 2) + '\n');
  await writeWhole(join(folder, 'report.md'), reportMarkdown(report));
  await writeWhole(join(folder, 'report.html'), await reportHtml(report));
  const written = await hashOutputs(
    folder,
    head.files.filter(path => !isConfig(path)),
  );
  for (const at of new Set(head.files.map(path => dirname(path)))) await syncFolder(join(folder, at));

  for (const output of outputs) {
    await writeWhole(join(output.folder, 'config.json'), checkpointConfig(plan));
    await syncFolder(output.folder);
  }
  written.push(...(await hashOutputs(folder, head.files.filter(isConfig))));
  const fingerprint = sha256(JSON.stringify(head.fingerprint));
  const record = runRecord(prepared, inputs, options, { results, sources, written, report, fingerprint });
  await writeWhole(join(folder, 'run.json'), JSON.stringify(record, null, 2) + '\n');
  await syncFolder(folder).catch(async (error: unknown) => {
    // a run that fails must not look finished
    await rm(join(folder, 'run.json'), { force: true });
    throw error;
  });
  // what is left goes when the folder is next asked for
  await rm(hiddenFolder(folder), { recursive: true, force: true }).catch(() => {});
  await rm(journalPath(folder), { force: true }).catch(() => {});
  onEvent({ type: 'done', report, folder });
  return { folder, report };
}

const isConfig = (path: string) => /(^|\/)config\.json$/.test(path);
