import type { TopLevelSpec } from 'vega-lite';
import { markup, trusted, type Markup } from '../markup.js';

/** Colours of the page's style sheet, so that a plot follows light, dark and print. */
export const INK = {
  data: 'var(--data)',
  others: 'var(--others)',
  band: 'var(--band)',
  look: 'var(--look)',
  muted: 'var(--muted)',
  rule: 'var(--rule)',
} as const;

/**
 * Draws a Vega-Lite plot as inline SVG that is as wide as its place. Vega is loaded by the first plot, so that nothing else waits for it.
 * Same specification, same bytes: plots fix their paddings and ticks, because measured text differs between machines.
 * @param description what a reader who does not see the plot should know
 */
export async function plot(spec: TopLevelSpec, description: string): Promise<Markup> {
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]);
  const config = {
    aria: false,
    view: { stroke: null },
    axis: { domain: false, ticks: false, labelColor: INK.muted, gridColor: INK.rule, labelOverlap: false, title: null },
  } as const;
  const compiled = compile({ ...spec, autosize: 'none', background: 'transparent', config });
  const view = new View(parse(compiled.spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  const [, viewBox, drawing] = /viewBox="([^"]*)"[^>]*>(.*)<\/svg>$/s.exec(svg)!;
  return markup`<svg viewBox="${viewBox}" role="img" aria-label="${description}">${trusted(withoutScaffold(drawing!))}</svg>`;
}

/** Vega's scene graph holds empty frames and its own class names; a page with many plots is half as long without. */
function withoutScaffold(drawing: string): string {
  return drawing
    .replace(/<path class="(?:back|fore)ground"[^>]*\/>/g, '')
    .replace(/ (?:class|role|aria-[a-z]+|font-family|pointer-events)="[^"]*"| opacity="1"/g, '');
}
