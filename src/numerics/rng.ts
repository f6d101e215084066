/**
 * Reproducible numbers, uniform in [0, 1), from a seed: sfc32, Chris Doty-Humphrey's small fast counter generator, whose counter makes every
 * sequence at least 2^32 long. The first dozen numbers, in which seeds still resemble each other, are dropped.
 * @param seed its 53 bits count
 */
export function uniform(seed: number): () => number {
  let [a, b, c, counter] = [0, seed | 0, Math.floor(seed / 2 ** 32) | 0, 1];
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
