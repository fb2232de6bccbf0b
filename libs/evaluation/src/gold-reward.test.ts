import fc from 'fast-check';
import { expect, test } from 'vitest';
import { explain, type LabelledText, scoreGold, trainGoldReward } from './gold-reward.js';
import { parseGoldReward } from './parse-gold-reward.js';

const reviews: LabelledText[] = [
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

test('an explanation adds up to the score, the most influential word first', () => {
  const { score, bias, words } = explain(model, 'a funny film, unseen and not bad');
  expect(score).toBe(scoreGold(model, 'a funny film, unseen and not bad'));
  expect(words.reduce((sum, { contribution }) => sum + contribution, bias)).toBeCloseTo(score, 12);
  expect(words.map(({ word }) => word)).toEqual(['funny', 'bad', 'film', 'a', 'and', 'not']);
});

test('accuracy is measured on the rows held out', () => {
  const heldOut: LabelledText[] = [
    { text: 'funny', label: 1 },
    { text: 'bad film', label: 0 },
    { text: 'a bad joke', label: 1 },
  ];
  const { accuracyOnHeldOut } = trainGoldReward(reviews, { heldOut });
  expect(accuracyOnHeldOut).toMatchObject({ mean: 2 / 3, n: 3 });
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
  expect(() => trainGoldReward(reviews, { l2: 0 })).toThrow(code('EVALUATION_OUT_OF_RANGE'));
});

test('a gold reward survives JSON', () => {
  const trained = trainGoldReward(reviews, { heldOut: reviews });
  expect(parseGoldReward(JSON.stringify(trained))).toEqual(trained);
  expect(parseGoldReward(JSON.parse(JSON.stringify(model)))).toEqual(model);
});

test.each([
  ['not valid JSON', '{'],
  ['must be an object', '[]'],
  ['kind must be', { ...model, kind: 'neural' }],
  ['version must be 1, got 2', { ...model, version: 2 }],
  ['bias must be a finite number, got null', { ...model, bias: null }],
  ['weights must be', { ...model, weights: [1] }],
  ['weights["good"] must be a finite number, got "3"', { ...model, weights: { good: '3' } }],
  ['accuracyOnHeldOut.low must be', { ...model, accuracyOnHeldOut: { mean: 1, high: 1, n: 2 } }],
])('a file that is no gold reward is refused: %s', (message, json) => {
  expect(() => parseGoldReward(json)).toThrow(
    expect.objectContaining({
      code: 'EVALUATION_BAD_GOLD_REWARD',
      message: expect.stringContaining(message) as string,
    }),
  );
});
