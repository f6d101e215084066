import type { ModuleReport } from '../../report.js';
import { printable } from '../../../formats/printable.js';
import type { Damage } from '../damage.js';
import { counted, digits, percent, relative } from '../figures.js';
import { markup, type Markup } from '../markup.js';
import { moduleName, shortScheme } from '../names.js';
import type { Section, View } from '../section.js';

/** A column: how it is called, what stands in it, and which direction a first click sorts it in. */
interface Column {
  readonly head: string;
  readonly sort: 'text' | 'number' | 'shape';
  readonly first: 'ascending' | 'descending';
  readonly cell: (module: ModuleReport) => Markup | string;
}

/** Thousands of rows take seconds to lay out: more than this are shown when someone asks for them. */
const SHOWN = 400;

/** Every module with its figures, to sort and to filter. */
export function modulesSection({ report, damage }: View): Section | undefined {
  if (report.modules.length === 0) return undefined;
  const columns = [
    ...IDENTITY,
    ...(damage.modules.length > 0 ? FIGURES : []),
    ...(report.modules.some(({ loss }) => loss !== undefined) ? [LOSS] : []),
    ...(damage.groups.length > 0 ? [shareColumn(damage)] : []),
  ];
  const sorted = columns.find(({ head }) => head === (damage.groups.length > 0 ? 'share' : 'relMSE'));
  const others = report.modules.filter(m => m.relMSE === undefined || m.stored_with !== undefined);
  const rows = [...damage.modules, ...others];
  const [first, rest] = [rows.slice(0, SHOWN), rows.slice(SHOWN)];
  const coded = counted(damage.modules.length, 'quantized module');
  return {
    id: 'modules',
    title: 'Modules',
    lead: markup`${coded}${others.length > 0 ? `, ${counted(others.length, 'other')}` : ''}.`,
    body: markup`<p class="filter" hidden><label>Filter <input type="search" autocomplete="off" spellcheck="false" placeholder="down_proj int4"></label> <output></output> <button type="button">Show all</button></p>
<div class="scroll tall" role="region" tabindex="0" aria-labelledby="modules"><table class="modules" data-sortable data-shown="${SHOWN}">
<thead><tr>${columns.map(column => headCell(column, column === sorted))}</tr></thead>
<tbody>
${first.map(module => row(columns, module))}</tbody>
${rest.length > 0 ? markup`<tbody hidden>\n${rest.map(module => row(columns, module))}</tbody>\n` : undefined}</table></div>`,
  };
}

const IDENTITY: readonly Column[] = [
  { head: 'module', sort: 'text', first: 'ascending', cell: ({ module }) => moduleName(module) },
  { head: 'shape', sort: 'shape', first: 'descending', cell: ({ shape: [r, c] }) => `${r} × ${c}` },
  { head: 'scheme', sort: 'text', first: 'ascending', cell: ({ scheme }) => shortScheme(scheme?.weights) },
  { head: 'format', sort: 'text', first: 'ascending', cell: formatCell },
  { head: 'bits', sort: 'number', first: 'descending', cell: m => m.bits_per_weight.toFixed(2) },
];

const FIGURES: readonly Column[] = [
  {
    head: 'SQNR dB',
    sort: 'number',
    first: 'ascending',
    cell: m => optional(m.sqnr_db, v => v?.toFixed(1) ?? 'exact'),
  },
  { head: 'relMSE', sort: 'number', first: 'descending', cell: m => optional(m.relMSE, relative) },
  { head: 'max error', sort: 'number', first: 'descending', cell: m => optional(m.max_error, digits) },
];

const LOSS: Column = {
  head: 'loss',
  sort: 'number',
  first: 'descending',
  cell: m => optional(m.loss, digits),
};

function shareColumn(damage: Damage): Column {
  const largest = damage.share(damage.modules[0]!)!;
  const cell = (share: number) => markup`<i style="--s:${((100 * share) / largest).toFixed(0)}"></i>${percent(share)}`;
  return { head: 'share', sort: 'number', first: 'descending', cell: m => optional(damage.share(m), cell) };
}

function optional<T>(value: T | undefined, show: (value: T) => Markup | string): Markup | string {
  return value === undefined ? '' : show(value);
}

function formatCell({ format, stored_with }: ModuleReport): string {
  return stored_with === undefined ? format : `with ${printable(stored_with.split('.').at(-1)!)}`;
}

function headCell({ head, sort, first }: Column, sorted: boolean): Markup {
  const order = sorted ? markup` aria-sort="descending"` : undefined;
  return markup`<th scope="col" data-sort="${sort}" data-first="${first}"${order}>${head}</th>`;
}

/** End tags of cells and rows are optional in HTML; a table of thousands of rows does without. */
function row(columns: readonly Column[], module: ModuleReport): Markup {
  const [name, ...cells] = columns.map(({ cell }) => cell(module));
  return markup`<tr><th scope="row">${name}${cells.map(cell => markup`<td>${cell}`)}\n`;
}
