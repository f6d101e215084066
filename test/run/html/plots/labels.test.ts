import assert from 'node:assert/strict';
import fc from 'fast-check';
import { placeLabels, type Labelled } from '../../../../src/run/html/plots/labels.js';

const PLOT = { width: 560, height: 250 };
const at = (x: number, y: number, { text = 'w4-mse', needed = false } = {}): Labelled => ({ x, y, text, needed });

describe('names beside points', () => {
  it('stand at the right, or where there is room', () => {
    assert.deepEqual(placeLabels([at(100, 100)], PLOT), ['right']);
    assert.deepEqual(placeLabels([at(550, 100)], PLOT), ['left']);
    // another point is where the name would be
    assert.deepEqual(placeLabels([at(100, 100), at(125, 92)], PLOT), ['left', 'right']);
    assert.deepEqual(placeLabels([at(280, 10, { text: 'x'.repeat(60) })], PLOT), ['below']);
  });

  it('are left out where there is none, but for those that are needed, which choose first', () => {
    const crowd = Array.from({ length: 30 }, (_, i) => at(100 + i, 100 + (i % 3)));
    const sides = placeLabels([...crowd, at(115, 101, { needed: true })], PLOT);
    assert.notEqual(sides.at(-1), undefined);
    assert.ok(sides.filter(side => side !== undefined).length < 6, sides.join());
    assert.deepEqual(placeLabels([at(0, 0, { text: 'x'.repeat(200), needed: true })], PLOT), [undefined]);
  });

  it('lie within the plot, sideways, and one that is not needed meets no other', () => {
    const point = fc.record({
      x: fc.integer({ min: 0, max: PLOT.width }),
      y: fc.integer({ min: 0, max: PLOT.height }),
      text: fc.string({ minLength: 1, maxLength: 24 }),
      needed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(point, { maxLength: 12 }), points => {
        const sides = placeLabels(points, PLOT);
        points.forEach(({ x, y, text }, i) => {
          if (sides[i] === undefined) return;
          const [left, right] = extent(x, text, sides[i]);
          assert.ok(left >= -1e-9 && right <= PLOT.width + 1e-9);
          if (points[i]!.needed) return;
          // its line runs through no point
          const middle = y + { right: -8, left: 9, above: -14, below: 15 }[sides[i]];
          for (const other of points) {
            const meets = other.x > left && other.x < right && Math.abs(other.y - middle) < 6;
            assert.ok(!meets, `${text} meets the point at ${other.x}, ${other.y}`);
          }
        });
      }),
    );
  });
});

/** Where a name begins and ends, with letters of 5.8 pixels. */
function extent(x: number, text: string, side: 'right' | 'left' | 'above' | 'below'): [number, number] {
  const width = 5.8 * text.length;
  if (side === 'right') return [x + 9, x + 9 + width];
  if (side === 'left') return [x - 9 - width, x - 9];
  return [x - width / 2, x + width / 2];
}
