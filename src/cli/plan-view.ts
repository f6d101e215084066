import type { ModuleSummary, PlanSummary } from '../run/summary.js';
import { patterns } from '../runtime/model/untouched.js';
import { formatBytes, formatCount, formatDuration, formatScheme } from '../run/units.js';
import { table, type Screen } from './screen.js';

/** The plan in a few lines: what becomes what, what stays, what it costs. */
export function planLines(plan: PlanSummary, { color }: Screen): string[] {
  const { model, size, estimate } = plan;
  const facts = [
    model.architecture,
    `${model.layers} layers`,
    `${formatCount(model.parameters)} parameters`,
    model.dtype.toLowerCase(),
  ];
  const bits =
    plan.bits_per_quantized_weight === null
      ? ''
      : ` (${plan.bits_per_quantized_weight.toFixed(2)} bits per quantized weight)`;
  const loads = plan.runtimes.filter(r => r.loads).map(r => `${r.runtime} ${r.version}`);
  const lines = [
    `${color.bold(plan.recipe)} → ${color.bold(model.name)}  (${facts.join(', ')})`,
    '',
    ...table(workRows(plan)),
    ...table(calibrationRows(plan)),
    '',
    [
      `size  ${formatBytes(size.before)} → ${color.bold(formatBytes(size.after))}${bits}`,
      `memory  ${formatBytes(estimate.memory_bytes)}`,
      `disk  ${formatBytes(estimate.disk_bytes)}`,
      `about ${formatDuration(estimate.seconds * 1000)}`,
    ].join('     '),
    ...(loads.length > 0 ? [color.dim(`loads in ${loads.join(', ')}`)] : []),
    ...plan.runtimes
      .filter(r => !r.loads)
      .map(r => color.yellow(`${r.runtime} ${r.version} ${r.reason ?? 'does not load it'}`)),
    ...table(pluginRows(plan)),
    ...model.notes.map(note => color.dim(note)),
    ...plan.warnings.flatMap(({ message, hint, line }) => [
      color.yellow(`warning: ${line === undefined ? '' : `line ${line}: `}${message}`),
      ...(hint === undefined ? [] : [color.dim(`  ${hint}`)]),
    ]),
  ];
  return lines.map(line => (line === '' ? line : `  ${line}`));
}

/** The code of the user's that runs, with its hash; what a file brings stands beside its own name. */
function pluginRows({ plugins }: PlanSummary): string[][] {
  return plugins.flatMap(({ modifiers, observers, files }) =>
    files.map(({ path, sha256 }, i) => [
      i === 0 ? 'plugin' : '',
      path,
      i === 0 ? [...modifiers, ...observers].join(', ') : '',
      `sha256 ${sha256}`,
    ]),
  );
}

/** One row per kind of treatment: `quantize  42  int4 group 128 symmetric  inputs fp8 token dynamic  int-quantized`. */
function workRows({ modules, attention, steps }: PlanSummary): string[][] {
  const kinds = new Map<string, string[]>();
  const add = (cells: readonly string[], module: string) => {
    const key = JSON.stringify(cells);
    kinds.set(key, [...(kinds.get(key) ?? []), module]);
  };
  const kept: ModuleSummary[] = [];
  for (const module of modules) {
    const { weights, input_activations: inputs, output_activations: outputs } = module.scheme ?? {};
    const activations = [inputs && `inputs ${formatScheme(inputs)}`, outputs && `outputs ${formatScheme(outputs)}`];
    const flowing = activations.filter(Boolean).join(', ');
    if (weights) add(['quantize', formatScheme(weights), flowing, module.format], module.module);
    else if (flowing !== '') add(['run with', '', flowing, ''], module.module);
    if (!weights) kept.push(module);
  }
  for (const { module, queries, cache } of attention) {
    add(['cache', formatScheme(cache), queries ? `queries ${formatScheme(queries)}` : '', ''], module);
  }
  const edited = steps.flatMap(({ modifier, edits }) =>
    edits === undefined ? [] : [['edit', `${edits}`, `by ${modifier}`]],
  );
  const treated = [...kinds].map(([key, names]) => {
    const [what, ...cells] = JSON.parse(key) as [string, ...string[]];
    return [what, `${names.length}`, ...cells];
  });
  const rows = [...edited, ...treated];
  if (kept.length > 0) rows.push(['keep', `${kept.length}`, patterns(kept.map(({ module }) => module))]);
  return rows;
}

/**
 * What is observed, and what runs through which parts for it: `calibration  42 x hessian`, `passes  layers.0 ... layers.4  observe for
 * GPTQModifier, then push on with the edits of GPTQModifier`.
 */
function calibrationRows({ observed, passes }: PlanSummary): string[][] {
  const counts = Object.entries(observed).map(([observer, count]) => `${count} x ${observer}`);
  const streams = new Set(passes.flatMap(group => group.passes.map(({ stream }) => stream)));
  const rows = passes.map(({ parts, passes }, i) => {
    const done = passes.map(({ stream, observing, edited, pushes }) => {
      const own = [observing.length > 0 ? `observe for ${observing.join(' and ')}` : '', pushes ? 'push on' : ''];
      return [
        streams.size > 1 ? `stream ${stream}: ` : '',
        own.filter(Boolean).join(' and '),
        edited.length > 0 ? ` with the edits of ${edited.join(' and ')}` : '',
      ].join('');
    });
    const shown = parts.length > 2 ? `${parts[0]} ... ${parts.at(-1)}` : parts.join(', ');
    return [i === 0 ? 'passes' : '', shown, done.join(', then ')];
  });
  return counts.length === 0 ? [] : [['calibration', counts.join(', ')], ...rows];
}

/** Every module on a line; layers that are treated alike are shown once. */
export function moduleLines(plan: PlanSummary, { color }: Screen): string[] {
  const rows = new Map<string, { cells: string[]; count: number }>();
  for (const m of plan.modules) {
    const name = m.module.replace(/\.\d+(?=\.|$)/g, '.*');
    const cells = [
      `${m.shape[0]} x ${m.shape[1]}`,
      m.scheme?.weights ? formatScheme(m.scheme.weights) : '-',
      m.bits_per_weight.toFixed(2),
      formatBytes(m.bytes.before),
      formatBytes(m.bytes.after),
      m.stored_with === undefined ? m.format : `with ${m.stored_with}`,
    ];
    const key = JSON.stringify([name, cells]);
    const row = rows.get(key);
    if (row) row.count++;
    else rows.set(key, { cells: [name, ...cells], count: 1 });
  }
  const head = ['module', '', 'shape', 'scheme', 'bits', 'before', 'after', 'format'];
  const body = [...rows.values()].map(({ cells: [name, ...rest], count }) => [
    name!,
    count > 1 ? `${count} x` : '',
    ...rest,
  ]);
  const [first, ...lines] = table([head, ...body], { right: [1, 2, 4, 5, 6] });
  return [color.dim(`  ${first}`), ...lines.map(line => `  ${line}`)];
}
