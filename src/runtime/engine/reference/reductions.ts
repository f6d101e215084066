import { TensorpressError } from '../../../errors.js';
import { blocks, matrix, type Definition, type Floats } from './array.js';

export const range: Definition<'range'> = ({ x }, { size }) => {
  const [, C] = matrix(x);
  const n = blocks(x, C, size);
  const [lows, highs] = [new Float64Array(n).fill(Infinity), new Float64Array(n).fill(-Infinity)];
  x.data.forEach((v, i) => {
    const block = Math.floor((i % C) / size);
    const number = Number.isFinite(v) ? v : NaN;
    lows[block] = Math.min(lows[block]!, number);
    highs[block] = Math.max(highs[block]!, number);
  });
  return { shape: [2, n], data: Float64Array.of(...lows, ...highs) };
};

export const squares: Definition<'squares'> = ({ x }) => sumOver(x, v => v * v);

export const magnitudes: Definition<'magnitudes'> = ({ x }) => sumOver(x, Math.abs);

export const gram: Definition<'gram'> = ({ x, sum }, { from, to }) => {
  const [T, C] = matrix(x);
  if (from < 0 || to > C) throw new TensorpressError('INTERNAL', `${x.name} is [${T}, ${C}]: no rows ${from} to ${to}`);
  const width = C - from;
  const data = sum === undefined ? new Float64Array((to - from) * width) : Float64Array.from(sum.data);
  for (let t = 0; t < T; t++) {
    const row = x.data.subarray(t * C + from, (t + 1) * C);
    for (let i = 0; i < to - from; i++) for (let j = 0; j < width; j++) data[i * width + j]! += row[i]! * row[j]!;
  }
  return { shape: [to - from, width], data };
};

/** sum_t f(x): [T, C] -> [1, C] */
function sumOver(x: Floats, f: (v: number) => number): Omit<Floats, 'name'> {
  const [, C] = matrix(x);
  const data = new Float64Array(C);
  x.data.forEach((v, i) => (data[i % C]! += f(v)));
  return { shape: [1, C], data };
}
