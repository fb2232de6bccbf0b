import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allShapes,
  bySequence,
  cutIntoBatches,
  lengthOf,
  microBatchesOf,
  predictedTokens,
  type Sequence,
  sequenceBatch,
  shapeOf,
  tokenCount,
} from './rows.js';

const CONTEXT = 20;
const token = fc.integer({ min: 1, max: 99 });
const tokens = (min: number, max: number) => fc.array(token, { minLength: min, maxLength: max });
const prompted: fc.Arbitrary<Sequence> = fc.record({ promptTokens: tokens(1, 8), tokens: tokens(1, 12) });
const unprompted: fc.Arbitrary<Sequence> = fc.record({
  promptTokens: fc.constant([]),
  tokens: tokens(1, CONTEXT),
});
/** Turns of a conversation, of which every other one is learned. */
const conversation: fc.Arbitrary<Sequence> = fc
  .tuple(tokens(0, 3), fc.array(tokens(1, 4), { minLength: 1, maxLength: 4 }))
  .map(([promptTokens, turns]) => ({
    promptTokens,
    tokens: turns.flat(),
    learned: turns.flatMap(({ length }, i) =>
      i % 2 === 0 ? [{ from: turns.slice(0, i).flat().length, count: length }] : [],
    ),
  }));
const sequences = fc.array(fc.oneof(prompted, unprompted, conversation), { minLength: 1, maxLength: 5 });
const limits = fc.record({
  microBatchSize: fc.integer({ min: 1, max: 8 }),
  contextLength: fc.constant(CONTEXT),
});

describe('sequenceBatch', () => {
  it('pads each sequence to the right, in a row of its own', () => {
    fc.assert(
      fc.property(sequences, limits, (sequences, limits) => {
        const shape = shapeOf(sequences, limits);
        const { specs, buffers } = sequenceBatch(sequences, shape);
        expect(specs.ids).toEqual({ shape: [shape.rows, shape.length], dtype: 'int32' });
        const padded = Array.from({ length: shape.rows }, (_, row) => {
          const { promptTokens, tokens } = sequences[row] ?? { promptTokens: [], tokens: [] };
          return [...promptTokens, ...tokens, ...Array(shape.length).fill(0)].slice(0, shape.length);
        });
        expect([...buffers.ids!]).toEqual(padded.flat());
      }),
    );
  });

  it('predicts exactly the tokens that are learned, each behind the token before it', () => {
    fc.assert(
      fc.property(sequences, limits, (sequences, limits) => {
        const { ids, at, next, mask } = sequenceBatch(sequences, shapeOf(sequences, limits)).buffers;
        // Nothing comes before the first token of a text without a prompt: it is not predicted.
        const expected = sequences.flatMap(({ promptTokens, tokens, learned }) =>
          tokens.filter(
            (_, i) =>
              (learned?.some(({ from, count }) => i >= from && i < from + count) ?? true) &&
              promptTokens.length + i > 0,
          ),
        );
        const predicted = [...next!].filter((_, i) => mask![i] === 1);
        expect(predicted).toEqual(expected);
        expect(expected).toHaveLength(tokenCount(sequences));
        predicted.forEach((token, i) => {
          expect(ids![at![i]! + 1]).toBe(token);
        });
        const places = [...at!].slice(0, expected.length);
        expect(new Set(places).size).toBe(places.length);
        expect([...mask!.slice(expected.length)].every((x) => x === 0)).toBe(true);
      }),
    );
  });

  it('lays further numbers out like the mask, and bySequence takes them back', () => {
    fc.assert(
      fc.property(sequences, limits, (sequences, limits) => {
        const values = sequences.map((sequence) => predictedTokens(sequence).map((token) => token / 4));
        const { specs, buffers } = sequenceBatch(sequences, shapeOf(sequences, limits), { values });
        expect(bySequence(buffers.values!, sequences).map((row) => [...row])).toEqual(values);
        const masked = buffers.values!.map((value, i) => (buffers.mask![i] === 1 ? 0 : value));
        expect(masked.every((value) => value === 0)).toBe(true);
        expect(specs.values).toEqual(specs.mask);
      }),
    );
  });
});

describe('shapes', () => {
  it('fit their sequences, and cost less than twice of each dimension', () => {
    fc.assert(
      fc.property(sequences, limits, (sequences, limits) => {
        const { rows, length, tokens } = shapeOf(sequences, limits);
        expect(rows).toBeGreaterThanOrEqual(sequences.length);
        expect(rows).toBeLessThan(2 * sequences.length);
        const isGroup = sequences.length > limits.microBatchSize;
        if (!isGroup) expect(rows).toBeLessThanOrEqual(limits.microBatchSize);
        expect(length).toBeGreaterThanOrEqual(Math.max(...sequences.map(lengthOf)));
        expect([8, 16, CONTEXT]).toContain(length);
        expect(tokens).toBeGreaterThanOrEqual(tokenCount(sequences));
        expect(tokens).toBeLessThanOrEqual(
          Math.max(tokenCount(sequences), 1) + Math.ceil((rows * length) / 8),
        );
      }),
    );
  });

  it('are few for long contexts', () => {
    const lengths = (contextLength: number) =>
      new Set(allShapes({ microBatchSize: 1, contextLength, groupSize: 1 }).map(({ length }) => length)).size;
    expect([64, 128, 1024, 8192].map(lengths)).toEqual([8, 16, 40, 64]);
    const long = { promptTokens: [1], tokens: Array(1000).fill(2) };
    expect(shapeOf([long], { microBatchSize: 1, contextLength: 8192 }).length).toBe(1024);
  });

  it.each([1, 2, 3])('of groups of %d sequences are all known beforehand', (groupSize) => {
    fc.assert(
      fc.property(fc.array(prompted, { minLength: 1, maxLength: 30 }), limits, (sequences, limits) => {
        const listed = new Set(allShapes({ ...limits, groupSize }).map((shape) => JSON.stringify(shape)));
        const groups = Array.from({ length: Math.floor(sequences.length / groupSize) }, (_, i) =>
          sequences.slice(i * groupSize, (i + 1) * groupSize),
        );
        for (const batch of microBatchesOf(groups, limits, (group) => group))
          expect(listed).toContain(JSON.stringify(shapeOf(batch.flat(), limits)));
      }),
    );
  });

  it('pad few rows to a power of two, and at most to the micro-batch', () => {
    const rowsOf = (count: number) =>
      shapeOf(Array(count).fill({ promptTokens: [1], tokens: [1] }), { microBatchSize: 12, contextLength: 8 })
        .rows;
    expect([1, 2, 3, 5, 8, 9, 12].map(rowsOf)).toEqual([1, 2, 4, 8, 8, 12, 12]);
  });
});

describe('microBatchesOf', () => {
  const limits = { contextLength: CONTEXT };
  const groups = fc.array(fc.array(prompted, { minLength: 1, maxLength: 4 }));

  it('holds at most its rows of sequences, never splits a group, and has each once', () => {
    fc.assert(
      fc.property(groups, fc.integer({ min: 1, max: 6 }), (groups, rows) => {
        const batches = microBatchesOf(groups, { ...limits, microBatchSize: rows }, (group) => group);
        for (const batch of batches) expect(batch.flat().length <= rows || batch.length === 1).toBe(true);
        expect(new Set(batches.flat())).toEqual(new Set(groups));
        expect(batches.flat()).toHaveLength(groups.length);
      }),
    );
  });

  it('fills them one after the other with groups of like length', () => {
    fc.assert(
      fc.property(fc.array(prompted), fc.integer({ min: 1, max: 6 }), (sequences, rows) => {
        const batches = microBatchesOf(sequences, { ...limits, microBatchSize: rows }, (sequence) => [
          sequence,
        ]);
        expect(batches.map((batch) => batch.length)).toEqual(
          Array.from({ length: Math.ceil(sequences.length / rows) }, (_, i) =>
            Math.min(rows, sequences.length - i * rows),
          ),
        );
        const lengths = batches.flat().map(lengthOf);
        expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
      }),
    );
  });

  it('keeps items of one length in their order: the bits of a run follow from its items', () => {
    const items = Array.from({ length: 9 }, (_, i) => ({ i, promptTokens: [1], tokens: [2] }));
    expect(microBatchesOf(items, { ...limits, microBatchSize: 4 }, (item) => [item]).flat()).toEqual(items);
  });
});

describe('micro-batches of a number of tokens', () => {
  const groups = fc.array(fc.array(prompted, { minLength: 1, maxLength: 4 }), { minLength: 1 });
  const tokenLimits = fc.record({
    microBatchSize: fc.integer({ min: 1, max: 8 }),
    microBatchTokens: fc.integer({ min: 16, max: 200 }),
    contextLength: fc.constant(CONTEXT),
  });

  it('have no more, padding included, have each group once and whole, and have shapes that are listed', () => {
    fc.assert(
      fc.property(groups, tokenLimits, (groups, limits) => {
        const batches = microBatchesOf(groups, limits, (group) => group);
        const listed = new Set(allShapes({ ...limits, groupSize: 4 }).map((shape) => JSON.stringify(shape)));
        for (const batch of batches) {
          const shape = shapeOf(batch.flat(), limits);
          expect(listed).toContain(JSON.stringify(shape));
          const { rows, length } = shape;
          expect(rows).toBeGreaterThanOrEqual(batch.flat().length);
          if (batch.length > 1) {
            expect(rows).toBeLessThanOrEqual(limits.microBatchSize);
            expect(rows * length).toBeLessThanOrEqual(Math.max(length, limits.microBatchTokens));
          }
        }
        expect(new Set(batches.flat())).toEqual(new Set(groups));
        expect(batches.flat()).toHaveLength(groups.length);
      }),
    );
  });

  it('have less than 15 % padding on pairs of real lengths, which as many sequences each have more of', async () => {
    const file = new URL('../../fixtures/hh_harmless_lengths.json', import.meta.url);
    const pairs = JSON.parse(await readFile(file, 'utf8')) as [number, number][];
    const sequence = (length: number): Sequence => ({ promptTokens: [1], tokens: Array(length - 1).fill(1) });
    const padding = (limits: { microBatchSize: number; microBatchTokens?: number }) => {
      let [used, all] = [0, 0];
      for (let step = 0; step < pairs.length; step += 16) {
        const groups = pairs.slice(step, step + 16).map((pair) => pair.map(sequence));
        const { batches } = cutIntoBatches(
          groups,
          { ...limits, contextLength: 2048 },
          (group) => group,
          (members, shape) => sequenceBatch(members.flat(), shape),
        );
        for (const batch of batches) {
          used += batch.used!;
          all += batch.buffers.ids!.length;
        }
      }
      return 1 - used / all;
    };
    expect(padding({ microBatchSize: 8 })).toBeGreaterThan(0.2);
    for (const microBatchTokens of [512, 1024, 2048])
      expect(padding({ microBatchSize: 32, microBatchTokens }), `${microBatchTokens}`).toBeLessThan(0.15);
  });
});
