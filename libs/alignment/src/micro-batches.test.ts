/**
 * A batch cut into micro-batches gives the batch's loss, statistics and gradient, for every loss of the
 * package.
 */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, test } from 'vitest';
import { type DpoLossType, dpoLoss, dpoLossTypes, responseLogprobs } from './dpo.js';
import { expectClose, flatten, type Matrix, type Nested } from './golden.test.support.js';
import { ktoLoss } from './kto.js';
import type { Loss, Normaliser } from './masked.js';
import { ppoPolicyLoss, ppoValueLoss } from './ppo.js';
import { proLoss } from './pro.js';
import { rankedRows } from './rankings.test.support.js';
import { bestOfNRewardLoss, pairwiseRewardLoss } from './reward-model.js';
import { sftLoss } from './sft.js';

beforeAll(() => tf.setBackend('cpu'));

const ROWS = 6;
const LENGTH = 4;

/**
 * A loss of the rows x [b, 4], given two constants and a mask of the same shape; it has two normalisers to
 * choose from.
 */
type LossOfRows = (
  x: tf.Tensor,
  constants: [tf.Tensor, tf.Tensor],
  mask: tf.Tensor,
  normaliser: { tokens: Normaliser; rows: Normaliser },
) => Loss<string>;

/** Rows hold the chosen response in their first half and the rejected one in the second. */
const dpo =
  (lossType: DpoLossType): LossOfRows =>
  (x, [refLogprobs], mask, { rows }) => {
    const side = (start: number) => {
      const half = (y: tf.Tensor) => tf.slice(y, [0, start], [-1, LENGTH / 2]);
      return responseLogprobs({ logprobs: half(x), refLogprobs: half(refLogprobs), mask: half(mask) });
    };
    const [chosen, rejected] = [side(0), side(LENGTH / 2)];
    return dpoLoss({ chosen, rejected, beta: 0.3, lossType, labelSmoothing: 0.1, normaliser: rows });
  };

/** Each row as the scores of four responses, two of which tie. */
const ranksOf = (x: tf.Tensor) => Array.from({ length: x.shape[0]! }, () => [2, 1, 3, 2]);

const column = (x: tf.Tensor, t: number) => tf.squeeze(tf.slice(x, [0, t], [-1, 1]), [1]);

const losses: Record<string, LossOfRows> = {
  sft: (logprobs, _, mask, { tokens }) => sftLoss({ logprobs, mask, normaliser: tokens }),
  'ppo policy': (logprobs, [oldLogprobs, advantages], mask, { tokens }) =>
    ppoPolicyLoss({ logprobs, oldLogprobs, advantages, mask, cliprange: 0.2, normaliser: tokens }),
  'ppo policy, weighted': (logprobs, [oldLogprobs, advantages], mask, { tokens }) =>
    ppoPolicyLoss({
      logprobs,
      oldLogprobs,
      advantages,
      weights: tf.exp(advantages),
      mask,
      cliprange: 0.2,
      normaliser: tokens,
    }),
  'ppo value': (values, [oldValues, returns], mask, { tokens }) =>
    ppoValueLoss({ values, oldValues, returns, mask, cliprangeValue: 0.2, normaliser: tokens }),
  'reward model': (x, [margin], _, { rows }) =>
    pairwiseRewardLoss({
      chosen: column(x, 0),
      rejected: column(x, 1),
      margin: column(margin, 0),
      centerRewardsCoefficient: 0.01,
      normaliser: rows,
    }),
  'reward model, all pairs': (x, _, __, { rows }) => {
    const { prefers } = rankedRows(ranksOf(x));
    return pairwiseRewardLoss({
      chosen: tf.reshape(x, [-1, 1]),
      rejected: tf.reshape(x, [1, -1]),
      mask: tf.tensor2d(prefers),
      centerRewardsCoefficient: 0.01,
      normaliser: rows,
    });
  },
  'reward model, best of N': (x, _, __, { rows }) => {
    const { bestPrefers, rivals, best } = rankedRows(ranksOf(x));
    return bestOfNRewardLoss({
      scores: tf.reshape(x, [-1]),
      prefers: tf.tensor2d(bestPrefers),
      rivals: tf.tensor2d(rivals),
      best: tf.tensor1d(best),
      centerRewardsCoefficient: 0.01,
      normaliser: rows,
    });
  },
  pro: (x, _, __, { rows }) => {
    const { prefers, best } = rankedRows(ranksOf(x));
    return proLoss({
      scores: tf.reshape(x, [-1]),
      prefers: tf.tensor2d(prefers),
      stages: tf.ones([best.length]),
      best: tf.tensor1d(best),
      sftCoef: tf.fill([best.length], 0.3),
      normaliser: rows,
    });
  },
  kto: (logprobs, [refLogprobs, opinions], mask, { rows }) =>
    ktoLoss({
      responses: responseLogprobs({ logprobs, refLogprobs, mask }),
      labels: tf.cast(tf.greater(column(opinions, 0), 0), 'float32'),
      kl: 0.3,
      beta: 0.4,
      desirableWeight: 1.2,
      normaliser: rows,
    }),
  ...Object.fromEntries(
    Object.keys(dpoLossTypes).map((lossType) => [`dpo ${lossType}`, dpo(lossType as DpoLossType)]),
  ),
};

const number = fc.double({ min: -2, max: 2, noNaN: true });
const matrix = fc.array(fc.array(number, { minLength: LENGTH, maxLength: LENGTH }), {
  minLength: ROWS,
  maxLength: ROWS,
});
/** Both responses of a row have a token at least. */
const mask = fc.array(
  fc.tuple(fc.constant(1), fc.integer({ min: 0, max: 1 }), fc.constant(1), fc.integer({ min: 0, max: 1 })),
  { minLength: ROWS, maxLength: ROWS },
);

test.each(Object.entries(losses))('%s', (_, loss) => {
  fc.assert(
    fc.property(matrix, matrix, matrix, mask, fc.integer({ min: 1, max: ROWS - 1 }), (x, c1, c2, m, cut) => {
      tf.tidy(() => {
        const normaliser = {
          tokens: tf.scalar(flatten(m).filter((one) => one === 1).length),
          rows: tf.scalar(ROWS),
        };
        const part = (from: number, to: number) => {
          const rows = (y: Nested) => tf.tensor2d((y as Matrix).slice(from, to));
          const of = (y: tf.Tensor) => loss(y, [rows(c1), rows(c2)], rows(m), normaliser);
          const { value, grad } = tf.valueAndGrad((y: tf.Tensor) => of(y).loss)(rows(x));
          const stats = values(of(rows(x)));
          return { sums: [value.arraySync() as number, ...stats], gradient: grad.arraySync() as Matrix };
        };
        const whole = part(0, ROWS);
        const [first, second] = [part(0, cut), part(cut, ROWS)];
        expectClose(
          first.sums.map((sum, i) => sum + second.sums[i]!),
          whole.sums,
          1e-5,
        );
        expectClose([...first.gradient, ...second.gradient], whole.gradient, 1e-5);
      });
    }),
    { numRuns: 20 },
  );
});

test.each(Object.keys(dpoLossTypes) as DpoLossType[])(
  'rows that only fill up change nothing: dpo %s',
  (lossType) => {
    const side = (rows: Matrix) => {
      const mask = tf.tensor2d(rows.map((row) => row.map((x) => (x === 0 ? 0 : 1))));
      const logprobs = tf.tensor2d(rows);
      return responseLogprobs({ logprobs, refLogprobs: tf.zerosLike(logprobs), mask });
    };
    const of = (chosen: Matrix, rejected: Matrix, mask?: number[]) =>
      dpoLoss({
        chosen: side(chosen),
        rejected: side(rejected),
        beta: 0.3,
        lossType,
        mask: mask && tf.tensor1d(mask),
        normaliser: 1,
      });
    const pair = of([[-1, -2]], [[-3, 0]]);
    const filled = of(
      [
        [-1, -2],
        [0, 0],
      ],
      [
        [-3, 0],
        [0, 0],
      ],
      [1, 0],
    );
    expectClose(filled.loss, pair.loss.arraySync(), 1e-6);
    expectClose(values(filled), values(pair), 1e-6);
  },
);

test('rows that only fill up change nothing: reward model', () => {
  const of = (chosen: number[], rejected: number[], mask?: number[]) =>
    pairwiseRewardLoss({
      chosen: tf.tensor1d(chosen),
      rejected: tf.tensor1d(rejected),
      centerRewardsCoefficient: 0.01,
      mask: mask && tf.tensor1d(mask),
      normaliser: 1,
    });
  const pair = of([1], [-0.5]);
  const filled = of([1, 7], [-0.5, 2], [1, 0]);
  expectClose(filled.loss, pair.loss.arraySync(), 1e-6);
  expectClose(values(filled), values(pair), 1e-6);
});

function values({ stats }: Loss<string>): number[] {
  return Object.values(stats).map((stat) => stat.arraySync());
}
