import { printable } from '../formats/printable.js';
import { change, klEstimate, textOf, type Quality } from './quality.js';
import type { Report } from './report.js';
import { questionsOf, taskRows } from './task-rows.js';
import type { TaskResult } from './task.js';
import { treatmentLines } from './treatments.js';
import { formatBytes } from './units.js';

/** README.md of a checkpoint: a model card that says what it was made from, how, and what that cost. Free of times, so that equal runs write equal cards. */
export function modelCard(report: Report, recipeText: string): string {
  const { plan, size } = report;
  const front = [
    '---',
    ...baseModel(plan.model.name),
    'library_name: transformers',
    'tags:',
    '- compressed-tensors',
    '- tensorpress',
    '---',
  ];
  return [
    ...front,
    '',
    `# ${report.title}`,
    '',
    `${plan.model.name} (${plan.model.architecture}), compressed by tensorpress ${report.tensorpress} with the recipe below.`,
    '',
    '| | before | after |',
    '|---|---:|---:|',
    `| size of the weights | ${formatBytes(size.before)} | ${formatBytes(size.after)} |`,
    `| bits per weight | ${((size.before * 8) / plan.model.parameters).toFixed(2)} | ${report.bits_per_weight.toFixed(2)} |`,
    '',
    ...(report.quality === undefined ? [] : [...lost(report.quality), '']),
    ...treatmentLines(report),
    '',
    ...plan.runtimes
      .filter(({ loads }) => loads)
      .map(({ runtime, version, checked }) =>
        checked ? `Loads in ${runtime} ${version}.` : `Should load in ${runtime} ${version}, by its documentation.`,
      ),
    '',
    '## Recipe',
    '',
    '```yaml',
    recipeText.trimEnd(),
    '```',
    '',
    'Errors of every module: report.md. Hashes of every input and output: run.json.',
    '',
  ].join('\n');
}

/** What it was found to have lost, without times. */
function lost(quality: Quality): string[] {
  const on = `On ${printable(textOf(quality))}`;
  const { perplexity, base_perplexity, ln_ratio, same_top1 } = quality;
  return [
    `${on}, against the original: perplexity ${perplexity.toFixed(2)} from ${base_perplexity.toFixed(2)} (${change(ln_ratio)}), KL ${klEstimate(quality)} nats, the same top token in ${(100 * same_top1).toFixed(1)} %.`,
    ...(quality.task === undefined ? [] : ['', answered(quality.task)]),
  ];
}

function answered(task: TaskResult): string {
  const [own, base] = taskRows(task);
  return `${printable(questionsOf(task))}: ${own!.value} right (95 % interval ${own!.interval}), by the original ${base!.value}.`;
}

/** The hub links a card to its base model by `org/name`; a folder's name says nothing to it. */
function baseModel(name: string): string[] {
  return /^[\w.-]+\/[\w.-]+$/.test(name) ? [`base_model: ${name}`, 'base_model_relation: quantized'] : [];
}
