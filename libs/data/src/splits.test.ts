import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchIndices, epochOrder, splitTrainTest } from './splits.js';

const seeds = fc.maxSafeNat();
const invalid = expect.objectContaining({ code: 'DATA_ARGUMENT_INVALID' });

describe('splitTrainTest', () => {
  const rows = Array.from({ length: 2000 }, (_, index) => ({ text: `row ${index % 900}`, index }));

  it('puts every row on one side, in order, neither side empty', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 2, max: 60 }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (seed, count, testFraction) => {
          const some = rows.slice(0, count);
          const { train, test } = splitTrainTest(some, { testFraction, seed });
          expect([...train, ...test].sort((a, b) => a.index - b.index)).toEqual(some);
          for (const part of [train, test]) {
            expect(part).toEqual(part.toSorted((a, b) => a.index - b.index));
            expect(part.length).toBeGreaterThan(0);
          }
        },
      ),
    );
  });

  it('holds about the fraction asked for', () => {
    const { test } = splitTrainTest(rows, { testFraction: 0.1, seed: 3 });
    expect(test.length).toBeGreaterThan(120);
    expect(test.length).toBeLessThan(280);
  });

  it('leaves earlier rows on their side when rows are appended', () => {
    const before = splitTrainTest(rows.slice(0, 1000), { testFraction: 0.2, seed: 8 });
    const after = splitTrainTest(rows, { testFraction: 0.2, seed: 8 });
    expect(after.test.slice(0, before.test.length)).toEqual(before.test);
    expect(after.train.slice(0, before.train.length)).toEqual(before.train);
  });

  it('does not look at the order of columns', () => {
    const options = { testFraction: 0.5, seed: 1 };
    const swapped = rows.map(({ text, index }) => ({ index, text }));
    expect(splitTrainTest(swapped, options)).toEqual(splitTrainTest(rows, options));
  });

  it('takes another test part for another seed, and none for fraction 0', () => {
    const first = splitTrainTest(rows, { testFraction: 0.2, seed: 1 });
    expect(splitTrainTest(rows, { testFraction: 0.2, seed: 2 }).test).not.toEqual(first.test);
    expect(splitTrainTest(rows, { testFraction: 0, seed: 1 })).toEqual({ train: rows, test: [] });
  });

  it.each([-0.1, 1, Number.NaN])('refuses testFraction %s', (testFraction) => {
    expect(() => splitTrainTest(rows, { testFraction, seed: 0 })).toThrow(invalid);
  });
});

describe('epochOrder', () => {
  it('is a permutation, the same for the same arguments', () => {
    fc.assert(
      fc.property(fc.nat(200), seeds, fc.nat(1000), (n, seed, epoch) => {
        const order = epochOrder(n, seed, epoch);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, index) => index));
        expect(epochOrder(n, seed, epoch)).toEqual(order);
      }),
    );
  });

  it('reaches every order of three rows alike', () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 6000; epoch++) {
      const order = epochOrder(3, 11, epoch).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // 6 standard deviations of a binomial count around 1000.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(175);
  });
});

describe('batchIndices', () => {
  const setting = fc.record({
    n: fc.integer({ min: 1, max: 40 }),
    batchSize: fc.integer({ min: 1, max: 90 }),
    seed: seeds,
  });

  it('runs through the epochs one after another, whatever the batch size', () => {
    fc.assert(
      fc.property(setting, fc.nat(6), ({ n, batchSize, seed }, steps) => {
        const visited = Array.from({ length: steps + 1 }, (_, step) =>
          batchIndices(n, batchSize, step, seed),
        );
        for (const batch of visited) expect(batch).toHaveLength(batchSize);
        const epochs = Array.from({ length: Math.ceil((batchSize * (steps + 1)) / n) }, (_, epoch) => [
          ...epochOrder(n, seed, epoch),
        ]);
        expect(visited.flat()).toEqual(epochs.flat().slice(0, batchSize * (steps + 1)));
      }),
    );
  });

  it('gives a step again without the steps before it', () => {
    expect(batchIndices(1000, 8, 77_777, 5)).toEqual(batchIndices(1000, 8, 77_777, 5));
    expect(batchIndices(1000, 8, 77_777, 5)).not.toEqual(batchIndices(1000, 8, 77_778, 5));
  });

  it.each([
    [0, 1, 0],
    [10, 0, 0],
    [10, 2 ** 16 + 1, 0],
    [10, 1, -1],
    [10, 1, 0.5],
    [10, 1, 2 ** 53],
  ])('refuses n %s, batchSize %s, step %s', (n, batchSize, step) => {
    expect(() => batchIndices(n, batchSize, step, 0)).toThrow(invalid);
  });
});
