import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type LengthedOutcome, lengthControlledWinRate } from './length-controlled.js';
import { type BothOrders, type Outcome, orderConsistency, reconcileOrders, winRate } from './win-rate.js';

const differences = [12, -5, 30, 8, -14, 3, 25, -9, 17, -2, 6, -20];

function withLengths(outcomes: Outcome[], lengths = differences): LengthedOutcome[] {
  return outcomes.map((outcome, i) => ({ outcome, lengthA: 40 + lengths[i]!, lengthB: 40 }));
}

test('ties count half', () => {
  const rate = winRate([
    { a: 2, b: 1 },
    { a: 1, b: 1 },
    { a: 0, b: 3 },
    { a: 5, b: -5 },
  ]);
  expect(rate).toMatchObject({ mean: 0.625, wins: 2, ties: 1, losses: 1, n: 4 });
});

test('the win rates of both sides sum to one and their intervals mirror each other', () => {
  const score = fc.integer({ min: -3, max: 3 });
  fc.assert(
    fc.property(fc.array(fc.record({ a: score, b: score }), { minLength: 1, maxLength: 50 }), (pairs) => {
      const forward = winRate(pairs);
      const backward = winRate(pairs.map(({ a, b }) => ({ a: b, b: a })));
      expect(forward.mean + backward.mean).toBeCloseTo(1, 12);
      expect(forward.low + backward.high).toBeCloseTo(1, 12);
    }),
  );
});

test('a verdict that the swap turns round is a tie', () => {
  const always: BothOrders = { ab: 'first', ba: 'first' };
  expect(reconcileOrders({ ab: 'first', ba: 'second' })).toBe('a');
  expect(reconcileOrders({ ab: 'second', ba: 'first' })).toBe('b');
  expect(reconcileOrders(always)).toBe('tie');
  expect(reconcileOrders({ ab: 'first', ba: 'tie' })).toBe('tie');
  expect(orderConsistency([always, { ab: 'tie', ba: 'tie' }, { ab: 'first', ba: 'second' }]).mean).toBe(
    2 / 3,
  );
});

// Golden numbers: SciPy 1.17.1, minimising -(log-likelihood + log det(X'WX) / 2) over X = [1, tanh(d / std(d))].
test('the length-controlled rate is the penalised likelihood fit at equal length', () => {
  const outcomes: Outcome[] = ['a', 'b', 'a', 'a', 'b', 'a', 'a', 'b', 'tie', 'a', 'b', 'tie'];
  const rate = lengthControlledWinRate(withLengths(outcomes));
  expect(rate.mean).toBeCloseTo(0.52927127, 6);
  expect(rate.low).toBeCloseTo(0.23469639, 6);
  expect(rate.high).toBeCloseTo(0.80477628, 6);
  expect(rate.lengthEffect).toBeCloseTo(1.63443732, 6);
});

test('winning every prompt keeps the length-controlled rate finite', () => {
  const rate = lengthControlledWinRate(withLengths(differences.map(() => 'a')));
  expect(rate.mean).toBeCloseTo(0.9270818, 6);
  expect(rate.low).toBeCloseTo(0.58037693, 6);
  expect(rate.high).toBeCloseTo(0.9915162, 6);
});

test('with equal lengths only the policies count', () => {
  const rate = lengthControlledWinRate(withLengths(['a', 'a', 'a', 'b', 'tie'], [0, 0, 0, 0, 0]));
  // (wins + 1/2) / (n + 1)
  expect(rate.mean).toBeCloseTo(4 / 6, 10);
  expect(rate.lengthEffect).toBe(0);
});

test('a policy that wins by writing more loses its advantage at equal length', () => {
  const lengths = Array.from({ length: 200 }, (_, i) => (i % 10) * 10 - 20);
  const outcomes = lengths.map((length): Outcome => (length > 0 ? 'a' : length < 0 ? 'b' : 'tie'));
  const rate = lengthControlledWinRate(withLengths(outcomes, lengths));
  expect(outcomes.filter((outcome) => outcome === 'a').length / outcomes.length).toBe(0.7);
  expect(rate.low).toBeLessThan(0.5);
  expect(rate.mean).toBeLessThan(0.6);
});

test('one length difference for all pairs cannot be controlled for', () => {
  expect(() => lengthControlledWinRate(withLengths(['a', 'b', 'a'], [7, 7, 7]))).toThrow(
    expect.objectContaining({ code: 'EVALUATION_LENGTH_CONFOUNDED' }),
  );
});
