/** A point that wants its name beside it; in pixels of the plot. */
export interface Labelled {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  /** Whether it is named even where names meet. */
  readonly needed: boolean;
}

type SideName = 'right' | 'left' | 'above' | 'below';

interface Side {
  readonly name: SideName;
  readonly align: 'left' | 'right' | 'center';
  readonly dx: number;
  readonly dy: number;
}

/** Where a name can stand, the best place first. */
export const SIDES: readonly Side[] = [
  { name: 'right', align: 'left', dx: 9, dy: -8 },
  { name: 'left', align: 'right', dx: -9, dy: 9 },
  { name: 'above', align: 'center', dx: 0, dy: -14 },
  { name: 'below', align: 'center', dx: 0, dy: 15 },
];

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Width of a letter and height of a line: guesses, because measured text differs between machines. */
const LETTER = 5.8;
const LINE = 12;
const DOT = 5;

/**
 * A side for the name of each point, so that it meets no point, no other name and no border; those that are needed choose first. Where all
 * sides are taken a needed name stands at the first that is within the plot, another is left out.
 */
export function placeLabels(
  points: readonly Labelled[],
  plot: { width: number; height: number },
): (SideName | undefined)[] {
  const taken: Box[] = points.map(({ x, y }) => ({ left: x - DOT, right: x + DOT, top: y - DOT, bottom: y + DOT }));
  const sides = new Map<Labelled, SideName>();
  for (const point of [...points.filter(p => p.needed), ...points.filter(p => !p.needed)]) {
    const within = SIDES.map(side => ({ side, box: boxOf(point, side) })).filter(
      ({ box: { left, right } }) => left >= 0 && right <= plot.width,
    );
    const free = within.find(
      ({ box }) => box.top >= 0 && box.bottom <= plot.height && !taken.some(other => meet(box, other)),
    );
    const chosen = free ?? (point.needed ? within[0] : undefined);
    if (chosen === undefined) continue;
    taken.push(chosen.box);
    sides.set(point, chosen.side.name);
  }
  return points.map(point => sides.get(point));
}

function boxOf({ x, y, text }: Labelled, { align, dx, dy }: Side): Box {
  const width = text.length * LETTER;
  const left = x + dx - { left: 0, center: width / 2, right: width }[align];
  return { left, right: left + width, top: y + dy - LINE / 2, bottom: y + dy + LINE / 2 };
}

function meet(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
