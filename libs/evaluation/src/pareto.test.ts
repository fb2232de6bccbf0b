import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hypervolume, paretoFront, type RewardKl } from './pareto.js';

// Few distinct numbers, so that points often share a coordinate.
const coordinate = fc.integer({ min: 0, max: 12 }).map((x) => x / 2);
const points = fc.array(fc.record({ kl: coordinate, reward: coordinate }), { maxLength: 12 });
const reference = { kl: 7, reward: -1 };

const dominates = (a: RewardKl, b: RewardKl) =>
  a.kl <= b.kl && a.reward >= b.reward && (a.kl < b.kl || a.reward > b.reward);

it('a front holds no point that another dominates, and one for every place that none dominates', () => {
  fc.assert(
    fc.property(points, (points) => {
      const front = paretoFront(points);
      for (const point of front) expect(points.some((other) => dominates(other, point))).toBe(false);
      for (const point of points) {
        const onFront = front.some(({ kl, reward }) => kl === point.kl && reward === point.reward);
        expect(onFront).toBe(!points.some((other) => dominates(other, point)));
      }
      expect(front.map(({ kl }) => kl)).toEqual(front.map(({ kl }) => kl).toSorted((a, b) => a - b));
      expect(new Set(front.map(({ kl }) => kl)).size).toBe(front.length);
    }),
  );
});

it('the area is that of the union of the boxes which points dominate', () => {
  fc.assert(
    fc.property(points, (points) => {
      // All corners lie on a grid of halves: a cell is dominated or it is not.
      let area = 0;
      for (let kl = 0; kl < reference.kl; kl += 0.5)
        for (let reward = reference.reward; reward < 7; reward += 0.5)
          if (points.some((point) => point.kl <= kl && point.reward >= reward + 0.5)) area += 0.25;
      expect(hypervolume(points, reference)).toBeCloseTo(area, 10);
    }),
  );
});

it('the area never shrinks by another point, and is that of the front alone', () => {
  fc.assert(
    fc.property(points, fc.record({ kl: coordinate, reward: coordinate }), (points, another) => {
      const area = hypervolume(points, reference);
      expect(hypervolume([...points, another], reference)).toBeGreaterThanOrEqual(area);
      expect(hypervolume(paretoFront(points), reference)).toBe(area);
    }),
  );
});

it('points beyond the reference point add nothing', () => {
  expect(hypervolume([], { kl: 4, reward: 0 })).toBe(0);
  expect(hypervolume([{ kl: 5, reward: 9 }], { kl: 4, reward: 0 })).toBe(0);
  expect(hypervolume([{ kl: 1, reward: -1 }], { kl: 4, reward: 0 })).toBe(0);
});

it('a point that is no number is refused', () => {
  const refused = expect.objectContaining({ code: 'EVALUATION_NOT_FINITE' });
  expect(() => paretoFront([{ kl: 0, reward: Number.NaN }])).toThrow(refused);
  expect(() => hypervolume([], { kl: Number.POSITIVE_INFINITY, reward: 0 })).toThrow(refused);
});
