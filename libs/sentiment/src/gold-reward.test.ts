import type { LabelledRow } from '@rlhf-streams/data';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseGoldReward, scoreGold, trainGoldReward } from './gold-reward.js';

const reviews: LabelledRow[] = [
  { text: 'a warm and funny film', label: 1 },
  { text: 'Funny , warm , a joy', label: 1 },
  { text: 'dull and bad and bad', label: 0 },
  { text: 'a BAD , dull , dull film', label: 0 },
  { text: 'a joy , not dull', label: 1 },
  { text: 'not a warm film', label: 0 },
  { text: 'bad', label: 0 },
  { text: 'funny', label: 1 },
];
const model = trainGoldReward(reviews, { l2: 0.01, minTexts: 1 });

test('training reaches the optimum of the regularised log-loss', () => {
  // scipy.optimize.minimize(BFGS, gtol 1e-12) of mean(logaddexp(0, -s z)) + .005 |w|^2 over L2-normalised counts,
  // SciPy 1.17.1; scikit-learn 1.9.1 LogisticRegression(C=1/(.01 * 8)) agrees to 6 digits.
  const expected: Record<string, number> = {
    a: 0.85389611,
    warm: -0.13293931,
    and: 0.38782403,
    funny: 2.82213572,
    film: -1.31201141,
    joy: 2.16590752,
    dull: -0.35748535,
    bad: -2.61994294,
    not: -0.34802756,
  };
  expect(Object.keys(model.weights).sort()).toEqual(Object.keys(expected).sort());
  for (const [word, weight] of Object.entries(expected)) expect(model.weights[word]).toBeCloseTo(weight, 5);
  expect(model.bias).toBeCloseTo(-0.21287335, 5);
});

test('the same rows train the same model, from the most positive word to the most negative', () => {
  expect(JSON.stringify(trainGoldReward(reviews, { l2: 0.01, minTexts: 1 }))).toBe(JSON.stringify(model));
  expect(Object.keys(model.weights)[0]).toBe('funny');
  expect(Object.keys(model.weights).at(-1)).toBe('bad');
});

test('a score is log-odds of normalised counts', () => {
  // "funny" twice and "bad" once: norm sqrt(5)
  const expected = model.bias + (2 * model.weights.funny! + model.weights.bad!) / Math.sqrt(5);
  expect(scoreGold(model, 'Funny, BAD; funny!')).toBeCloseTo(expected, 12);
});

test('the score of nothing, and of words never seen, is the bias', () => {
  expect(scoreGold(model, '')).toBe(model.bias);
  expect(scoreGold(model, ' ... !')).toBe(model.bias);
  expect(scoreGold(model, 'zyzzyva constructor __proto__ toString')).toBe(model.bias);
});

test('repeating a text never raises its score', () => {
  const word = fc.constantFrom(...Object.keys(model.weights), 'unseen');
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 2, max: 5 }),
      (text, times) => {
        const once = text.join(' ');
        expect(scoreGold(model, Array(times).fill(once).join(' '))).toBeCloseTo(scoreGold(model, once), 10);
      },
    ),
  );
});

test('rare words get no weight of their own', () => {
  expect(trainGoldReward(reviews, { minTexts: 4 }).weights).toHaveProperty('a');
  expect(trainGoldReward(reviews, { minTexts: 4 }).weights).not.toHaveProperty('joy');
});

test('rows that cannot train a classifier are refused', () => {
  const code = (code: string) => expect.objectContaining({ code });
  expect(() => trainGoldReward([])).toThrow(code('EVALUATION_EMPTY'));
  expect(() => trainGoldReward([{ text: 'good', label: 1 }])).toThrow(code('EVALUATION_ONE_CLASS'));
  expect(() => trainGoldReward([{ text: 'good', label: 2 } as never])).toThrow(code('EVALUATION_BAD_LABEL'));
});

test('a gold reward survives JSON', () => {
  expect(parseGoldReward(JSON.stringify(model))).toEqual(model);
});

test.each([
  ['is not valid JSON', '{'],
  ['gold reward: ', []],
  ['gold reward.kind: ', { ...model, kind: 'neural' }],
  ['gold reward.version: ', { ...model, version: 2 }],
  ['gold reward.bias: ', { ...model, bias: null }],
  ['gold reward.weights: ', { ...model, weights: [1] }],
  ['gold reward.weights.good: ', { ...model, weights: { good: '3' } }],
])('a file that is no gold reward is refused: %s', (message, json) => {
  expect(() => parseGoldReward(typeof json === 'string' ? json : JSON.stringify(json))).toThrow(
    expect.objectContaining({
      code: 'EVALUATION_BAD_GOLD_REWARD',
      message: expect.stringContaining(message) as string,
    }),
  );
});
