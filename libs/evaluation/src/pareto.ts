/** Which points of the reward-KL plane no other beats, and how much of the plane they beat. */
import { EvaluationError } from './errors.js';

/** What a policy reached, and how far from its reference: reward is to be high, KL (nats per sequence) low. */
export interface RewardKl {
  readonly kl: number;
  readonly reward: number;
}

/**
 * The points that no other point dominates (no more KL and no less reward, and better in one), by ascending KL; of
 * several at one place the first.
 *
 * @throws EvaluationError EVALUATION_NOT_FINITE
 */
export function paretoFront<Point extends RewardKl>(points: readonly Point[]): Point[] {
  requireFinite(points);
  const front: Point[] = [];
  // By ascending KL, a point is on the front if its reward is above that of all before it.
  for (const point of points.toSorted((a, b) => a.kl - b.kl || b.reward - a.reward)) {
    const best = front.at(-1);
    if (!best || point.reward > best.reward) front.push(point);
  }
  return front;
}

/**
 * Area of the reward-KL plane that the points dominate within the box of a reference point, which has the most KL and the
 * least reward that count (the hypervolume indicator of Zitzler and Thiele 1998, in two dimensions): reward times nats.
 * Only areas for one reference point can be compared. Points outside of the box add nothing.
 *
 * @throws EvaluationError EVALUATION_NOT_FINITE
 * @example hypervolume([{ kl: 1, reward: 2 }], { kl: 4, reward: 0 }) // 6
 */
export function hypervolume(points: readonly RewardKl[], reference: RewardKl): number {
  requireFinite([reference]);
  let area = 0;
  let reward = reference.reward;
  for (const point of paretoFront(points)) {
    if (point.kl >= reference.kl) break;
    if (point.reward <= reward) continue;
    area += (point.reward - reward) * (reference.kl - point.kl);
    reward = point.reward;
  }
  return area;
}

function requireFinite(points: readonly RewardKl[]): void {
  const index = points.findIndex(({ kl, reward }) => !Number.isFinite(kl) || !Number.isFinite(reward));
  if (index < 0) return;
  const { kl, reward } = points[index]!;
  throw new EvaluationError(
    'EVALUATION_NOT_FINITE',
    `Expected points with a finite reward and KL, got reward ${reward} and KL ${kl} at index ${index}: leave it out.`,
  );
}
