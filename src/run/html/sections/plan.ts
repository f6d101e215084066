import { printable } from '../../../formats/printable.js';
import type { ModuleSummary, PlanSummary } from '../../summary.js';
import { formatCount } from '../../units.js';
import { bytes, counted, whole } from '../figures.js';
import { markup, type Markup } from '../markup.js';
import { schemeName } from '../names.js';
import { plainTable, type Section, type View } from '../section.js';

const FILES = 8;

/** What the recipe made of the model: treatments, the patterns that chose them, files, and what loads the result. */
export function planSection({ report }: View): Section {
  const { plan, modules } = report;
  const { model } = plan;
  const facts = [
    model.architecture,
    counted(model.layers, 'layer'),
    `${formatCount(model.parameters)} parameters`,
    model.dtype.toLowerCase(),
    ...(model.tied_embeddings ? ['tied embeddings'] : []),
  ];
  return {
    id: 'plan',
    title: 'Plan',
    lead: markup`${printable(plan.recipe)} → ${printable(model.name)}: ${printable(facts.join(', '))}.`,
    body: markup`${treatments(modules)}${attention(plan.attention)}${patterns(plan.steps)}${runtimes(plan.runtimes)}${files(plan.outputs)}`,
  };
}

function treatments(modules: readonly ModuleSummary[]): Markup | undefined {
  if (modules.length === 0) return undefined;
  const kinds = new Map<string, { cells: string[]; count: number; before: number; after: number }>();
  for (const { scheme, format, bytes: size } of modules) {
    const cells = [schemeName(scheme?.weights), inputs(scheme), format];
    const key = JSON.stringify(cells);
    const kind = kinds.get(key) ?? { cells, count: 0, before: 0, after: 0 };
    kinds.set(key, {
      cells,
      count: kind.count + 1,
      before: kind.before + size.before,
      after: kind.after + size.after,
    });
  }
  const rows = [...kinds.values()]
    .sort((a, b) => b.count - a.count)
    .map(({ cells, count, before, after }) => [...cells, whole(count), bytes(before), bytes(after)]);
  return markup`<h3>What became what</h3>
${plainTable('What became what', ['weights', 'inputs', 'format', 'modules', 'before', 'after'], rows, { figures: 3 })}`;
}

function inputs(scheme: ModuleSummary['scheme']): string {
  const { input_activations, output_activations } = scheme ?? {};
  const outputs = output_activations ? `, outputs ${schemeName(output_activations)}` : '';
  return schemeName(input_activations) + outputs;
}

function attention(modules: PlanSummary['attention']): Markup | undefined {
  if (modules.length === 0) return undefined;
  const kinds = new Map<string, { cells: string[]; count: number }>();
  for (const { queries, cache } of modules) {
    const cells = [schemeName(queries), schemeName(cache)];
    const key = JSON.stringify(cells);
    kinds.set(key, { cells, count: (kinds.get(key)?.count ?? 0) + 1 });
  }
  const rows = [...kinds.values()].map(({ cells, count }) => [...cells, whole(count)]);
  return markup`<h3>Attention</h3>
${plainTable('Attention', ['queries', 'keys and values', 'modules'], rows, { figures: 1 })}`;
}

function patterns(steps: PlanSummary['steps']): Markup | undefined {
  const rows = steps.flatMap(({ modifier, patterns: uses }) =>
    uses.map(({ pattern, role, matched, decided }) => [
      printable(modifier),
      role,
      markup`<code>${printable(pattern)}</code>`,
      whole(matched),
      whole(decided),
    ]),
  );
  if (rows.length === 0) return undefined;
  return markup`<h3>Patterns of the recipe</h3>
${plainTable('Patterns of the recipe', ['modifier', 'role', 'pattern', 'matched', 'decided'], rows, { figures: 2 })}`;
}

function runtimes(advice: PlanSummary['runtimes']): Markup | undefined {
  if (advice.length === 0) return undefined;
  const rows = advice.map(({ runtime, version, checked, loads, reason }) => [
    `${runtime} ${version}`,
    loads ? 'yes' : markup`<span class="look">no: ${reason ?? 'it does not read this'}</span>`,
    checked ? 'by running it' : 'in its documentation',
  ]);
  return markup`<h3>What loads it</h3>
${plainTable('What loads it', ['runtime', 'loads', 'checked'], rows)}`;
}

function files(outputs: PlanSummary['outputs']): Markup | undefined {
  const all = outputs.flatMap(({ format, files: list }) => list.map(file => ({ format, ...file })));
  if (all.length === 0) return undefined;
  const rows = all
    .slice(0, FILES)
    .map(({ name, format, bytes: size }) => [markup`<code>${printable(name)}</code>`, format, bytes(size)]);
  const rest = all.slice(FILES);
  if (rest.length > 0) {
    rows.push([
      markup`${counted(rest.length, 'more file')}`,
      '',
      bytes(rest.reduce((sum, file) => sum + file.bytes, 0)),
    ]);
  }
  return markup`<h3>Files</h3>
${plainTable('Files', ['file', 'format', 'size'], rows, { figures: 1 })}`;
}
