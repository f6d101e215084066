import { TensorpressError } from '../../../errors.js';
import { matrix, vector, type Definition } from './array.js';

export const columns: Definition<'columns'> = ({ x }, { from, to }) => {
  const [T, C] = matrix(x);
  if (from < 0 || to > C)
    throw new TensorpressError('INTERNAL', `${x.name} is [${T}, ${C}]: no columns ${from} to ${to}`);
  const data = new Float64Array(T * (to - from));
  for (let t = 0; t < T; t++) data.set(x.data.subarray(t * C + from, t * C + to), t * (to - from));
  return { shape: [T, to - from], data };
};

export const route: Definition<'route'> = ({ x }, { top, normalize }) => {
  const [T, E] = matrix(x);
  const data = new Float64Array(T * E);
  for (let t = 0; t < T; t++) {
    const row = x.data.subarray(t * E, (t + 1) * E);
    const { max, sum } = expSum(row);
    const weights = row.map(v => Math.exp(v - max) / sum);
    const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
    const chosen = order.slice(0, top);
    const total = normalize ? chosen.reduce((s, e) => s + weights[e]!, 0) : 1;
    for (const e of chosen) data[t * E + e] = weights[e]! / total;
  }
  return { shape: [T, E], data };
};

export const log_sum_exp: Definition<'log_sum_exp'> = ({ x }) => {
  const [T, C] = matrix(x);
  const data = new Float64Array(T * 2);
  for (let t = 0; t < T; t++) {
    const { max, sum } = expSum(x.data.subarray(t * C, (t + 1) * C));
    data.set([max, sum], t * 2);
  }
  return { shape: [T, 2], data };
};

export const divergence: Definition<'divergence'> = ({ a, b }) => {
  const [T, C] = matrix(a);
  matrix(b, T, C);
  const data = new Float64Array(T * 8);
  for (let t = 0; t < T; t++) {
    const [base, model] = [a, b].map(({ data }) => data.subarray(t * C, (t + 1) * C)) as [Float64Array, Float64Array];
    const [ofBase, ofModel] = [expSum(base), expSum(model)];
    let [weighted, squares] = [0, 0];
    for (let c = 0; c < C; c++) {
      const difference = base[c]! - model[c]!;
      weighted += Math.exp(base[c]! - ofBase.max) * difference;
      squares += difference * difference;
    }
    const top = (row: Float64Array, { max, sum }: { max: number; sum: number }) => [max, sum, row.indexOf(max)];
    data.set([...top(base, ofBase), ...top(model, ofModel), weighted, squares], t * 8);
  }
  return { shape: [T, 8], data };
};

export const pick: Definition<'pick'> = ({ x, index }) => {
  const [T, C] = matrix(x);
  vector(index, T);
  return { shape: [T, 1], data: index.data.map((c, t) => (c >= 0 && c < C ? x.data[t * C + c]! : 0)) };
};

/** m = max x and sum exp(x - m). */
function expSum(row: Float64Array): { max: number; sum: number } {
  const max = row.reduce((m, v) => Math.max(m, v), -Infinity);
  return { max, sum: row.reduce((s, v) => s + Math.exp(v - max), 0) };
}
