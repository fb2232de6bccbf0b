/** Two methods side by side at the same reward: their length, their loss on other text, their KL. */
import { mean } from './statistics.js';

/** A value (tokens, nats) that was measured of a policy together with its reward. */
export interface AtReward {
  readonly reward: number;
  readonly value: number;
}

/** The means of both values over the rewards that both reach, or why there is nothing to compare. */
export type EqualReward =
  | {
      readonly comparable: true;
      /** The rewards that both reach. */
      readonly from: number;
      readonly to: number;
      readonly a: number;
      readonly b: number;
      /** a - b */
      readonly difference: number;
    }
  | { readonly comparable: false; readonly reason: string };

/**
 * Compares two sets of points at equal reward. Each is a piecewise linear function of the reward through its points,
 * those of one reward averaged; both are averaged over the rewards between the lowest and the highest that both reach.
 * Nothing is extrapolated.
 *
 * @example compareAtEqualReward([{ reward: 0, value: 10 }, { reward: 2, value: 30 }], [{ reward: 1, value: 15 }])
 *   // { comparable: true, from: 1, to: 1, a: 20, b: 15, difference: 5 }
 */
export function compareAtEqualReward(a: readonly AtReward[], b: readonly AtReward[]): EqualReward {
  const [lineA, lineB] = [lineThrough(a), lineThrough(b)];
  if (lineA.length === 0 || lineB.length === 0) return { comparable: false, reason: 'nothing was measured' };
  const from = Math.max(lineA[0]!.reward, lineB[0]!.reward);
  const to = Math.min(lineA.at(-1)!.reward, lineB.at(-1)!.reward);
  if (from > to) {
    const reason = `no reward is reached by both: ${rangeOf(lineA)} and ${rangeOf(lineB)}`;
    return { comparable: false, reason };
  }
  const [meanA, meanB] = [meanOver(lineA, from, to), meanOver(lineB, from, to)];
  return { comparable: true, from, to, a: meanA, b: meanB, difference: meanA - meanB };
}

/** The points by ascending reward, one for each. */
function lineThrough(points: readonly AtReward[]): AtReward[] {
  const values = new Map<number, number[]>();
  for (const { reward, value } of points)
    if (Number.isFinite(reward) && Number.isFinite(value))
      values.set(reward, [...(values.get(reward) ?? []), value]);
  return [...values]
    .map(([reward, values]) => ({ reward, value: mean(values) }))
    .sort((a, b) => a.reward - b.reward);
}

/** Linear between neighbours; `reward` lies within the line's. */
function valueAt(line: readonly AtReward[], reward: number): number {
  const after = line.findIndex((point) => point.reward >= reward);
  const right = line[after]!;
  if (right.reward === reward) return right.value;
  const left = line[after - 1]!;
  const share = (reward - left.reward) / (right.reward - left.reward);
  return left.value + share * (right.value - left.value);
}

/** Mean of the line over [from, to], exact: it is linear between its points. */
function meanOver(line: readonly AtReward[], from: number, to: number): number {
  if (from === to) return valueAt(line, from);
  const within = line.map(({ reward }) => reward).filter((reward) => reward > from && reward < to);
  const rewards = [from, ...within, to];
  let area = 0;
  for (let i = 1; i < rewards.length; i++) {
    const [left, right] = [rewards[i - 1]!, rewards[i]!];
    area += ((valueAt(line, left) + valueAt(line, right)) / 2) * (right - left);
  }
  return area / (to - from);
}

const rangeOf = (line: readonly AtReward[]): string =>
  `${line[0]!.reward.toFixed(2)} to ${line.at(-1)!.reward.toFixed(2)}`;
