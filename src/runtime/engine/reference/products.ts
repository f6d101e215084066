import { TensorpressError } from '../../../errors.js';
import { blocks, matrix, vector, type Definition } from './array.js';

export const gather: Definition<'gather'> = ({ table, ids }) => {
  const [rows, width] = matrix(table);
  const T = vector(ids);
  const data = new Float64Array(T * width);
  ids.data.forEach((id, t) => {
    if (id < 0 || id >= rows)
      throw new TensorpressError('INTERNAL', `${ids.name} holds ${id}, but ${table.name} has ${rows} rows`);
    data.set(table.data.subarray(id * width, (id + 1) * width), t * width);
  });
  return { shape: [T, width], data };
};

export const linear: Definition<'linear'> = ({ x, weight, bias }) => {
  const [T, C] = matrix(x);
  const [R] = matrix(weight, undefined, C);
  if (bias) vector(bias, R);
  const data = new Float64Array(T * R);
  for (let t = 0; t < T; t++) {
    const row = x.data.subarray(t * C, (t + 1) * C);
    for (let r = 0; r < R; r++) {
      let sum = 0;
      for (let c = 0, w = r * C; c < C; c++, w++) sum += row[c]! * weight.data[w]!;
      data[t * R + r] = sum + (bias ? bias.data[r]! : 0);
    }
  }
  return { shape: [T, R], data };
};

export const transform: Definition<'transform'> = ({ x, matrix: M }, { factor }) => {
  const [, C] = matrix(x);
  const [n] = matrix(M, M.shape[1]);
  blocks(x, C, n);
  const data = new Float64Array(x.data.length);
  for (let at = 0; at < data.length; at += n) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += x.data[at + i]! * M.data[i * n + j]!;
      data[at + j] = sum * factor;
    }
  }
  return { shape: x.shape, data };
};
