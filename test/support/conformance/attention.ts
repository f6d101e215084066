import { draws, floats, single, type Case, type Draw, type Numbers } from './cases.js';

const HEAD_DIMS = [32, 64, 80, 96, 128, 256];
const RATIOS = [1, 2, 3, 4];

/** All ratios of query to key heads, with and without past, window, soft cap, gaps in the positions and sealed keys. */
export function attentionCases(): Case[] {
  return [
    ...Array.from({ length: 24 }, (_, i) => attention(i)),
    alike(),
    emptyPast(),
    ...[null, 700].map(window => long(window)),
  ];
}

function attention(i: number): Case {
  const draw = draws(i + 100);
  const [headDim, ratio] = [HEAD_DIMS[i % 6]!, RATIOS[i % 4]!];
  const kvHeads = draw.int(1, Math.floor(8 / ratio));
  const [B, S] = [draw.int(1, 3), i === 3 ? 1 : draw.int(1, 9)];
  const P = i % 3 === 0 ? 0 : draw.int(1, 11);
  const width = kvHeads * headDim;
  const window = i % 4 === 1 ? draw.int(1, 6) : null;
  const cap = i % 5 === 2 ? draw.pick([2, 50]) : null;
  const sealed = i % 2 === 1;
  const pair = (rows: number): Numbers => draw.floats([rows, width]);
  const at = positions(draw, P + S, i % 4 === 3);
  const past = {
    pastK: pair(B * P),
    pastV: pair(B * P),
    pastPositions: { shape: [P], data: shuffled(draw, at.slice(0, P)) },
  };
  const seal = {
    sealedK: pair(B * (P + S)),
    sealedV: pair(B * (P + S)),
    sealed: { shape: [S, P + S], data: Uint8Array.from(draw.ints(S * (P + S), 0, 1).data) },
  };
  const arrays = {
    q: draw.floats([B * S, ratio * width]),
    k: pair(B * S),
    v: pair(B * S),
    positions: { shape: [S], data: at.slice(P) },
    ...(P > 0 ? past : {}),
    ...(sealed ? seal : {}),
  };
  const scale = draw.pick([headDim ** -0.5, 0.1]);
  const note = `of ${ratio * kvHeads} heads of ${headDim} over ${kvHeads}, window ${window}, cap ${cap}`;
  return single('attention', { heads: ratio * kvHeads, kvHeads, headDim, scale, window, cap }, arrays, note);
}

/** Ascending, from anywhere, with gaps if asked for. */
function positions(draw: Draw, length: number, gaps: boolean): Int32Array {
  let at = gaps ? draw.int(0, 70000) : 0;
  return Int32Array.from({ length }, () => (at += gaps ? draw.int(1, 4) : 1) - 1);
}

/** Keys of the past may lie in any order. */
function shuffled(draw: Draw, values: Int32Array): Int32Array {
  for (let i = values.length - 1; i > 0; i--) {
    const j = draw.int(0, i);
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}

/** Equal keys, zeros for queries, values huge and tiny but the same for all keys: every weight is 1 / n. */
function alike(): Case {
  const arrays = {
    q: floats([6, 128], i => (i < 384 ? 0 : -0)),
    k: floats([6, 64], () => 0.7),
    v: floats([6, 64], i => [1e15, -1e-30, 0, -1e15, 3][(i % 64) % 5]!),
    positions: { shape: [6], data: Int32Array.from({ length: 6 }, (_, i) => i) },
  };
  const constants = { heads: 2, kvHeads: 1, headDim: 64, scale: 0.125, window: null, cap: null };
  return single('attention', constants, arrays, 'of equal keys');
}

/** What a program for decoding runs first. */
function emptyPast(): Case {
  const draw = draws(140);
  const none: Numbers = { shape: [0, 64], data: new Float32Array(0) };
  const arrays = {
    q: draw.floats([6, 128]),
    k: draw.floats([6, 64]),
    v: draw.floats([6, 64]),
    positions: { shape: [3], data: Int32Array.of(0, 1, 2) },
    pastK: none,
    pastV: none,
    pastPositions: { shape: [0], data: new Int32Array(0) },
  };
  const constants = { heads: 2, kvHeads: 1, headDim: 64, scale: 0.125, window: null, cap: null };
  return single('attention', constants, arrays, 'with a past of no keys');
}

/** More queries than anybody multiplies by all keys at once. */
function long(window: number | null): Case {
  const draw = draws(150);
  const S = 2100;
  const arrays = {
    q: draw.floats([S, 64]),
    k: draw.floats([S, 32]),
    v: draw.floats([S, 32]),
    positions: { shape: [S], data: Int32Array.from({ length: S }, (_, i) => i) },
  };
  const constants = { heads: 2, kvHeads: 1, headDim: 32, scale: 32 ** -0.5, window, cap: null };
  return single('attention', constants, arrays, `of ${S} tokens, window ${window}`);
}
