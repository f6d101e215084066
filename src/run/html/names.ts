import { printable } from '../../formats/printable.js';
import type { QuantizationArgs } from '../../schemes/args.js';
import { formatScheme } from '../units.js';
import { markup, type Markup } from './markup.js';

/** The name of a module as code that may break after its dots; characters that do not show are spelt out. */
export function moduleName(name: string): Markup {
  const parts = printable(name).split(/(?<=\.)(?=.)/s);
  return markup`<code>${parts.map((part, i) => (i === 0 ? part : markup`<wbr>${part}`))}</code>`;
}

/** Without the `model.` that every module of a decoder starts with: for places with little room. */
export function shortName(name: string): string {
  return name.replace(/^model\.(?=.)/s, '');
}

/** `int4 group 128`, `int4 group 128 asymmetric`. */
export function schemeName(args: QuantizationArgs | null | undefined): string {
  return args == null ? 'as they are' : formatScheme(args).replace(' symmetric', '');
}

/** `int4 g128`, `int4 g128 asym`: for a column. */
export function shortScheme(args: QuantizationArgs | null | undefined): string {
  return args == null
    ? 'as it is'
    : schemeName(args)
        .replace(/(tensor_)?group /, 'g')
        .replace('metric', '');
}
