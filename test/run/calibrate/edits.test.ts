import assert from 'node:assert/strict';
import { narrow, widen } from '../../../src/numerics/dtypes.js';
import { qparams } from '../../../src/numerics/qparams.js';
import { dequantize, quantize } from '../../../src/numerics/quantize.js';
import { accumulateRange, emptyRange, makeGrid } from '../../../src/numerics/grid.js';
import type { Module } from '../../../src/runtime/model/model.js';
import { PartEdits } from '../../../src/run/calibrate/edits.js';
import { preset } from '../../../src/schemes/presets.js';
import { memorySource } from '../../support/memory-source.js';

const [rows, columns] = [6, 8];
const args = { ...preset('W4A16', ['Linear'])!.weights!, group_size: 4 };
const grid = makeGrid(rows, columns, 1, 4);

function start() {
  const w = Float32Array.from({ length: rows * columns }, (_, i) => Math.fround(Math.sin(i * 1.3)));
  const bytes = narrow(w, 'BF16');
  const source = memorySource({ 'a.weight': { dtype: 'BF16', shape: [rows, columns], bytes } });
  const module: Module = {
    name: 'a',
    classes: ['Linear', 'Module'],
    weight: { tensor: 'a.weight', rows, columns, dtype: 'BF16' },
  };
  return { edits: new PartEdits(source, [module]), x: widen(bytes, 'BF16') };
}

const parameters = (x: Float32Array) => {
  const range = emptyRange(grid);
  accumulateRange(x, 0, grid, range);
  return qparams(range, args, 'BF16');
};

describe('the weights of a part in work', () => {
  const all = () => true;

  it('are those of the source until something is edited', async () => {
    const { edits, x } = start();
    assert.deepEqual(widen(await edits.view(all).read('a.weight'), 'BF16'), x);
    assert.equal(edits.has('a.weight', all), false);
  });

  it('are as each step has left them', async () => {
    const { edits, x } = start();
    const half = x.map(v => v / 2);
    const zero = new Float32Array(x.length);
    edits.addDense(3, { kind: 'dense', module: 'a', weight: zero });
    edits.addDense(1, { kind: 'dense', module: 'a', weight: half });
    const read = async (steps: (step: number) => boolean) =>
      widen(await edits.view(steps).read('a.weight', { from: 2, to: 4 }), 'BF16');
    assert.deepEqual(await read(step => step < 1), x.slice(2 * columns, 4 * columns));
    assert.deepEqual(await read(step => step < 2), half.slice(2 * columns, 4 * columns));
    assert.deepEqual(await read(all), zero.slice(0, 2 * columns));
    assert.deepEqual(
      [1, 2, 3].map(step => edits.has('a.weight', other => other < step)),
      [false, true, true],
    );
  });

  it('are dequantized codes, rounded to the dtype of the weight', async () => {
    const { edits, x } = start();
    const q = parameters(x);
    const codes = quantize(x, 0, grid, q, args, 'BF16');
    edits.addCodes(0, { kind: 'codes', module: 'a', codes, arithmetic: 'reference', ...q }, args);
    const expected = narrow(dequantize(codes, 0, grid, q, args), 'BF16');
    assert.deepEqual(await edits.view(all).read('a.weight'), expected);
    // into memory that is lent
    const memory = new Uint8Array(1000);
    const rowBytes = 2 * columns;
    const read = await edits.view(all).read('a.weight', { from: 1, to: 3 }, bytes => memory.subarray(0, bytes));
    assert.equal(read.buffer, memory.buffer);
    assert.deepEqual(read, expected.slice(rowBytes, 3 * rowBytes));
  });

  it('are rounded to nearest where the codes are left to the run, on top of what was edited before', async () => {
    const { edits, x } = start();
    const half = x.map(v => v / 2);
    const q = parameters(half);
    edits.addDense(0, { kind: 'dense', module: 'a', weight: half });
    edits.addCodes(1, { kind: 'codes', module: 'a', codes: 'nearest', arithmetic: 'reference', ...q }, args);
    const codes = quantize(half, 0, grid, q, args, 'BF16');
    assert.deepEqual(await edits.view(all).read('a.weight'), narrow(dequantize(codes, 0, grid, q, args), 'BF16'));
  });

  it('follow the group index of reordered columns', async () => {
    const { edits, x } = start();
    const q = parameters(x);
    const groupIndex = Int32Array.of(0, 1, 0, 1, 0, 1, 0, 1);
    const codes = quantize(x, 0, grid, q, args, 'BF16', { groupIndex });
    edits.addCodes(0, { kind: 'codes', module: 'a', codes, arithmetic: 'reference', groupIndex, ...q }, args);
    const expected = narrow(dequantize(codes, 0, grid, q, args, groupIndex), 'BF16');
    assert.deepEqual(await edits.view(all).read('a.weight'), expected);
  });
});
