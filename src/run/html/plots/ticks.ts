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
