import type { Activation } from '../../../src/runtime/model/graph.js';
import { angles, draws, edgeRows, floats, single, type Case, type Draw } from './cases.js';

const HEAD_DIMS = [32, 64, 80, 96, 128, 256];
const ACTIVATIONS: readonly Activation[] = ['silu', 'gelu', 'gelu_tanh', 'relu', 'relu2', 'quick_gelu'];
const HUGE = 1e15;

/** Cases of `make` with seeds 1, 2, ... */
function several(count: number, make: (draw: Draw, i: number) => Case): Case[] {
  return Array.from({ length: count }, (_, i) => make(draws(i + 1), i));
}

/** Every op but attention and fake_quantize, with sizes that are multiples of nothing. */
export function opCases(): Case[] {
  return [...table(), ...products(), ...elementwise(), ...alongRows(), ...overTokens()];
}

function table(): Case[] {
  return several(3, draw => {
    const [rows, width, T] = [draw.int(2, 70), draw.int(1, 65), draw.int(1, 40)];
    return single('gather', {}, { table: draw.floats([rows, width]), ids: draw.ints(T, 0, rows - 1) });
  });
}

function products(): Case[] {
  const x = edgeRows(37, HUGE);
  return [
    ...several(6, (draw, i) => {
      const [T, C, R] = [i === 0 ? 1 : draw.int(2, 70), draw.int(1, 200), draw.int(1, 150)];
      const bias = i % 2 === 0 ? {} : { bias: draw.floats([R]) };
      return single('linear', {}, { x: draw.floats([T, C]), weight: draw.floats([R, C]), ...bias });
    }),
    single('linear', {}, { x, weight: draws(7).floats([11, 37]), bias: draws(8).floats([11]) }, 'of edge values'),
    ...several(4, draw => {
      const [T, n, blocks] = [draw.int(1, 20), draw.pick([1, 12, 32, 64]), draw.int(1, 4)];
      const arrays = { x: draw.floats([T, blocks * n]), matrix: draw.floats([n, n]) };
      return single('transform', { factor: 1 / Math.sqrt(n) }, arrays);
    }),
    single(
      'transform',
      { factor: -0.5 },
      { x: edgeRows(36, HUGE), matrix: draws(9).floats([12, 12]) },
      'of edge values',
    ),
  ];
}

function elementwise(): Case[] {
  const size = (draw: Draw): [number, number] => [draw.int(1, 40), draw.int(1, 90)];
  return [
    ...ACTIVATIONS.flatMap((act, i) => {
      const draw = draws(i + 20);
      const shape = size(draw);
      const ladder = floats([8, 401], j => ((j % 401) - 200) / 10);
      const ones = (rows: number, columns: number) => floats([rows, columns], () => 1);
      return [
        single('gated', { act }, { gate: draw.floats(shape, 3), up: draw.floats(shape) }, act),
        single('gated', { act }, { gate: ladder, up: ones(8, 401) }, `${act} from -20 to 20`),
        single('gated', { act }, { gate: edgeRows(21, HUGE), up: ones(7, 21) }, `${act} of edge values`),
      ];
    }),
    ...several(2, draw => {
      const shape = size(draw);
      return single('add', {}, { a: draw.floats(shape), b: draw.floats(shape) });
    }),
    single('add', {}, { a: edgeRows(21, HUGE), b: edgeRows(21, -HUGE / 7) }, 'of edge values'),
    ...several(2, draw =>
      single('scale', { factor: draw.pick([-3.5, 27.712812921102035]) }, { x: draw.floats(size(draw)) }),
    ),
    single('scale', { factor: -2 }, { x: edgeRows(21, HUGE) }, 'of edge values'),
    ...several(2, draw => single('softcap', { cap: draw.pick([30, 50]) }, { x: draw.floats(size(draw), 40) })),
    single('softcap', { cap: 30 }, { x: edgeRows(21, HUGE) }, 'of edge values'),
  ];
}

function alongRows(): Case[] {
  return [
    ...several(6, (draw, i) => {
      const [T, length] = [draw.int(1, 30), draw.int(2, 140)];
      const groups = i % 3 === 2 ? draw.int(2, 6) : 1;
      const constants = { eps: draw.pick([1e-5, 1e-6]), offset: i % 2 === 0 ? 0 : 1, size: length } as const;
      const arrays = { x: draw.floats([T, groups * length], 2), weight: draw.floats([length]) };
      return single('rms_norm', constants, arrays, `offset ${constants.offset}, ${groups} a row`);
    }),
    single(
      'rms_norm',
      { eps: 1e-6, offset: 1, size: 33 },
      { x: edgeRows(33, HUGE), weight: draws(4).floats([33]) },
      'of edge values',
    ),
    ...HEAD_DIMS.map((headDim, i) => {
      const draw = draws(i + 40);
      const [B, S, heads] = [draw.int(1, 3), draw.int(1, 9), draw.int(1, 8)];
      const r = i % 3 === 1 ? headDim / 4 : headDim / 2;
      const positions = draw.ints(S, 0, 70000).data;
      const arrays = { x: draw.floats([B * S, heads * headDim]), ...angles(positions, r) };
      return single('rope', { headDim }, arrays, `of heads of ${headDim}`);
    }),
    ...several(3, draw => {
      const C = draw.int(2, 90);
      const from = draw.int(0, C - 1);
      return single('columns', { from, to: draw.int(from + 1, C) }, { x: draw.floats([draw.int(1, 20), C]) });
    }),
    ...several(6, (draw, i) => {
      const [T, E] = [draw.int(1, 30), draw.pick([4, 8, 13, 60])];
      const constants = { top: i === 5 ? E : draw.int(1, 4), normalize: i % 2 === 0 };
      return single('route', constants, { x: draw.floats([T, E], 2) }, `top ${constants.top}`);
    }),
    single('route', { top: 2, normalize: true }, { x: edgeRows(8, 1e4) }, 'of edge values'),
    single(
      'route',
      { top: 3, normalize: true },
      { x: floats([5, 8], i => [2, 1, 2, 2, 0, 2, 1, 2][i % 8]!) },
      'with ties',
    ),
    ...several(3, draw => single('log_sum_exp', {}, { x: draw.floats([draw.int(1, 20), draw.int(1, 300)], 4) })),
    single('log_sum_exp', {}, { x: edgeRows(21, HUGE) }, 'of edge values'),
    ...several(4, (draw, i) => {
      const shape: [number, number] = [draw.int(1, 20), draw.int(1, 300)];
      const a = draw.floats(shape, 4);
      return single('divergence', {}, { a, b: i === 3 ? a : draw.floats(shape, 4) }, i === 3 ? 'from itself' : '');
    }),
    single(
      'divergence',
      {},
      { a: floats([4, 5], i => [1, 3, 3, 0, 3][i % 5]!), b: floats([4, 5], i => [2, 2, 1, 2, 0][i % 5]!) },
      'with ties',
    ),
    ...several(3, draw => {
      const [T, C] = [draw.int(1, 20), draw.int(1, 90)];
      return single('pick', {}, { x: draw.floats([T, C]), index: draw.ints(T, -2, C + 1) });
    }),
  ];
}

function overTokens(): Case[] {
  const edges = edgeRows(36, HUGE);
  const sizes = (draw: Draw, i: number): [number, number] => [i === 0 ? 1 : draw.int(2, 300), draw.int(1, 90)];
  return [
    ...several(5, (draw, i) => {
      const [T, size] = sizes(draw, i);
      const n = draw.int(1, 4);
      return single('range', { size }, { x: draw.floats([T, n * size], 3) }, `of each ${size} columns`);
    }),
    single('range', { size: 1 }, { x: edges }, 'of edge values'),
    single('range', { size: 12 }, { x: edges }, 'of edge values'),
    single('range', { size: 36 }, { x: edges }, 'of edge values'),
    single('range', { size: 4 }, { x: floats([3, 8], i => -1 - i) }, 'below zero'),
    single('range', { size: 4 }, { x: floats([3, 8], i => 1 + i) }, 'above zero'),
    ...[NaN, Infinity, -Infinity].flatMap(flaw =>
      [1, 4].map(size =>
        single('range', { size }, { x: floats([9, 36], i => (i % 39 === 0 ? flaw : i)) }, `with ${flaw}`),
      ),
    ),
    ...(['squares', 'magnitudes'] as const).flatMap(op => [
      ...several(4, (draw, i) => single(op, {}, { x: draw.floats(sizes(draw, i), 3) })),
      single(op, {}, { x: edgeRows(21, HUGE) }, 'of edge values'),
    ]),
    ...several(6, (draw, i) => {
      const [T, C] = sizes(draw, i);
      const from = i < 2 ? 0 : draw.int(0, C - 1);
      const to = i === 1 ? C : draw.int(from + 1, C);
      return single('gram', { from, to, exact: T % 2 === 0 }, { x: draw.floats([T, C]) }, `rows ${from} to ${to}`);
    }),
    ...several(3, (draw, i) => {
      const [T, C] = sizes(draw, i);
      const [from, to] = [Math.floor(C / 3), C];
      const sum = draw.floats([to - from, C - from]);
      return single(
        'gram',
        { from, to, exact: false },
        { x: draw.floats([T, C]), sum },
        `rows ${from} to ${to}, added`,
      );
    }),
    single('gram', { from: 5, to: 21, exact: false }, { x: edges }, 'of edge values'),
  ];
}
