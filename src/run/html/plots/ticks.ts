/** Ticks from zero in up to three equal steps of 1, 2 or 5 times a power of ten; the last is not below `highest`. */
export function ticksFromZero(highest: number): number[] {
  if (!(highest > 0)) return [0, 1];
  const power = Math.floor(Math.log10(highest / 3));
  for (const step of [1, 2, 5, 10, 20]) {
    const steps = Math.ceil(highest / scaled(step, power) - 1e-9);
    if (steps <= 3) return Array.from({ length: steps + 1 }, (_, i) => scaled(i * step, power));
  }
  return [0, highest];
}

/** n times 10^power, without the dust that a product with 0.001 leaves. */
function scaled(n: number, power: number): number {
  return Number(`${n}e${power}`);
}

/** The first, the middle and the last of the layers 0 to `last`. */
export function layerTicks(last: number): number[] {
  return [...new Set([0, Math.round(last / 2), last])];
}

/**
 * Ticks of a logarithmic scale: powers of ten from the one at or below `lowest` to the one at or above `highest`, as many as leave room, or
 * 1, 2, 5, 10 where they are a power apart.
 */
export function logTicks(lowest: number, highest: number): number[] {
  const from = Math.floor(Math.log10(lowest) + 1e-9);
  const to = Math.max(from + 1, Math.ceil(Math.log10(highest) - 1e-9));
  if (to === from + 1) return [1, 2, 5, 10].map(n => scaled(n, from));
  const step = Math.ceil((to - from) / 4);
  return Array.from({ length: Math.ceil((to - from) / step) + 1 }, (_, i) => scaled(1, from + i * step));
}

/**
 * Ticks in up to five equal steps of 1, 2 or 5 times a power of ten, from at or below `lowest` to at or above `highest`. Values less than a
 * millionth apart count as one: between them no label would tell two ticks apart.
 */
export function ticksAround(lowest: number, highest: number): number[] {
  const apart = highest - lowest;
  const span = apart > 1e-6 * Math.abs(highest) ? apart : Math.abs(highest) || 1;
  const power = Math.floor(Math.log10(span / 5));
  for (const n of [1, 2, 5, 10, 20, 50]) {
    const step = scaled(n, power);
    const from = Math.floor(lowest / step + 1e-9);
    const to = Math.max(from + 1, Math.ceil(highest / step - 1e-9));
    if (to - from <= 5) return Array.from({ length: to - from + 1 }, (_, i) => scaled((from + i) * n, power));
  }
  return [lowest, highest];
}
