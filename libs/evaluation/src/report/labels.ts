/** Where names stand in a chart. */

/** A rectangle in pixels, y downwards. */
export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A line of text: where its baseline begins. */
export interface Label {
  readonly x: number;
  readonly y: number;
  readonly box: Box;
}

export interface Named {
  readonly name: string;
  readonly at: { readonly x: number; readonly y: number };
}

/** Pixels that a character of bold 12 px text may take: an upper bound, because the reader's fonts decide. */
const LETTER = 8.5;
const ASCENT = 10;
const DEPTH = 3;

export const textWidth = (text: string): number => LETTER * text.length;

/** From a mark to its name. */
const BESIDE = 10;
const ABOVE = [9, 22, 35, 48, 61, 74];

/**
 * A place for the name of every mark: beside it and a little above or below, at the first place inside of `frame`
 * that covers neither an obstacle nor another name. Where there is none, the one that covers least.
 *
 * @param obstacles error bars and marks
 */
export function placeLabels(marks: readonly Named[], obstacles: readonly Box[], frame: Box): Label[] {
  const placed: Label[] = [];
  for (const { name, at } of marks) {
    const taken = [...obstacles, ...placed.map(({ box }) => box)];
    const width = textWidth(name);
    const costs = placesAround(at, width)
      .map((label) => ({ label, cost: outside(label.box, frame) + covered(label.box, taken) }))
      .toSorted((a, b) => a.cost - b.cost);
    placed.push(costs[0]!.label);
  }
  return placed;
}

/** Nearest first; to the right before the left, above before below. */
function placesAround({ x, y }: Named['at'], width: number): Label[] {
  return ABOVE.flatMap((distance) =>
    [x + BESIDE, x - BESIDE - width].flatMap((left) =>
      [y - distance, y + distance + ASCENT - DEPTH].map((baseline) => ({
        x: left,
        y: baseline,
        box: { left, right: left + width, top: baseline - ASCENT, bottom: baseline + DEPTH },
      })),
    ),
  );
}

const area = ({ left, right, top, bottom }: Box): number =>
  Math.max(0, right - left) * Math.max(0, bottom - top);

/** What two boxes share. */
export const overlap = (a: Box, b: Box): number =>
  area({
    left: Math.max(a.left, b.left),
    right: Math.min(a.right, b.right),
    top: Math.max(a.top, b.top),
    bottom: Math.min(a.bottom, b.bottom),
  });

const covered = (box: Box, others: readonly Box[]): number =>
  others.reduce((sum, other) => sum + overlap(box, other), 0);

const outside = (box: Box, frame: Box): number => area(box) - overlap(box, frame);
