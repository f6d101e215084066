import { layerTicks } from './ticks.js';

/** What stands beside ticks, as an expression of Vega: a text of ours for each, so that a plot reads the same on every machine. */
export function tickTexts(ticks: readonly number[], text: (tick: number) => string): string {
  return `${JSON.stringify(Object.fromEntries(ticks.map(tick => [tick, text(tick)])))}[datum.value]`;
}

/** `0.05`, `1e-4`: an error beside its tick. */
export function errorText(error: number): string {
  return error === 0 || error >= 0.001 ? String(error) : error.toExponential();
}

/** The axis of the layers up to `last`. */
export function layerAxis(last: number) {
  const ticks = layerTicks(last);
  return {
    grid: false,
    values: ticks,
    labelPadding: 5,
    labelExpr: tickTexts(ticks, tick => (tick === 0 ? 'layer 0' : String(tick))),
  };
}
