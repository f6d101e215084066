import { ACTIVATIONS } from './activations.js';
import { blocks, matrix, vector, type Definition } from './array.js';

export const gated: Definition<'gated'> = ({ gate, up }, { act }) => {
  matrix(up, ...matrix(gate));
  const f = ACTIVATIONS[act];
  return { shape: gate.shape, data: gate.data.map((g, i) => f(g) * up.data[i]!) };
};

export const add: Definition<'add'> = ({ a, b }) => {
  matrix(b, ...matrix(a));
  return { shape: a.shape, data: a.data.map((x, i) => x + b.data[i]!) };
};

export const scale: Definition<'scale'> = ({ x }, { factor }) => ({
  shape: x.shape,
  data: x.data.map(v => factor * v),
});

export const softcap: Definition<'softcap'> = ({ x }, { cap }) => ({
  shape: x.shape,
  data: x.data.map(v => cap * Math.tanh(v / cap)),
});

export const rms_norm: Definition<'rms_norm'> = ({ x, weight }, { eps, offset, size }) => {
  const [, C] = matrix(x);
  vector(weight, size);
  blocks(x, C, size);
  const data = new Float64Array(x.data.length);
  for (let at = 0; at < data.length; at += size) {
    let squares = 0;
    for (let i = 0; i < size; i++) squares += x.data[at + i]! ** 2;
    const root = Math.sqrt(squares / size + eps);
    for (let i = 0; i < size; i++) data[at + i] = (x.data[at + i]! / root) * (offset + weight.data[i]!);
  }
  return { shape: x.shape, data };
};

export const rope: Definition<'rope'> = ({ x, cos, sin }, { headDim }) => {
  const [T, C] = matrix(x);
  const [S, r] = matrix(cos);
  matrix(sin, S, r);
  blocks(x, T, S);
  const heads = blocks(x, C, headDim);
  const data = x.data.slice();
  for (let t = 0; t < T; t++) {
    const angle = (t % S) * r;
    for (let head = 0; head < heads; head++) {
      const at = t * C + head * headDim;
      for (let i = 0; i < r; i++) {
        const [a, b] = [x.data[at + i]!, x.data[at + i + r]!];
        const [c, s] = [cos.data[angle + i]!, sin.data[angle + i]!];
        data[at + i] = a * c - b * s;
        data[at + i + r] = b * c + a * s;
      }
    }
  }
  return { shape: x.shape, data };
};
