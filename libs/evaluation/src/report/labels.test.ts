import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Box, overlap, placeLabels } from './labels.js';

const frame = { left: 48, right: 520, top: 28, bottom: 296 };

/** A mark with its error bars, which reach `half` to every side. */
const crossed = (x: number, y: number, half: number): Box[] => [
  { left: x - half, right: x + half, top: y - 2, bottom: y + 2 },
  { left: x - 2, right: x + 2, top: y - half, bottom: y + half },
  { left: x - 6.5, right: x + 6.5, top: y - 6.5, bottom: y + 6.5 },
];
const shared = (box: Box, others: readonly Box[]) =>
  others.reduce((sum, other) => sum + overlap(box, other), 0);

test('a name stands to the right of its mark and above its error bar', () => {
  const [label] = placeLabels([{ name: 'SFT', at: { x: 100, y: 100 } }], crossed(100, 100, 40), frame);
  expect(label).toMatchObject({ x: 110, y: 91 });
});

test('a name turns away from the bars of its neighbour, and from the frame', () => {
  const marks = [
    { name: 'SFT', at: { x: 127, y: 150 } },
    { name: 'PPO', at: { x: 290, y: 147 } },
    { name: 'DPO', at: { x: 510, y: 40 } },
  ];
  const bars = [
    ...crossed(127, 150, 80),
    ...crossed(290, 147, 150),
    { left: 142, right: 146, top: 110, bottom: 230 },
    ...crossed(510, 40, 20),
  ];
  const labels = placeLabels(marks, bars, frame);
  for (const { box } of labels) expect(shared(box, bars)).toBe(0);
  expect(labels[0]!.box.right).toBeLessThan(127);
  expect(labels[2]!.box.right).toBeLessThan(510);
});

test('names of a few policies anywhere cover neither a bar nor each other, while there is room', () => {
  const place = fc.record({ x: fc.integer({ min: 60, max: 500 }), y: fc.integer({ min: 40, max: 285 }) });
  const many = fc.array(fc.record({ at: place, half: fc.integer({ min: 0, max: 25 }) }), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(many, (policies) => {
      const bars = policies.flatMap(({ at, half }) => crossed(at.x, at.y, half));
      const labels = placeLabels(
        policies.map(({ at }) => ({ name: 'PPO', at })),
        bars,
        frame,
      );
      labels.forEach(({ box }, i) => {
        const others = labels.filter((_, j) => j !== i).map((label) => label.box);
        expect(shared(box, [...bars, ...others])).toBe(0);
        expect(box.left).toBeGreaterThanOrEqual(frame.left);
        expect(box.right).toBeLessThanOrEqual(frame.right);
        expect(box.top).toBeGreaterThanOrEqual(frame.top);
        expect(box.bottom).toBeLessThanOrEqual(frame.bottom);
      });
    }),
  );
});
