import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  completionPart,
  lengthOf,
  microBatchesOf,
  paddedLength,
  paddedRows,
  type Sequence,
  sequenceBatch,
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
const some = (sequence: fc.Arbitrary<Sequence>) => fc.array(sequence, { minLength: 1, maxLength: 5 });
const filler = fc.nat({ max: 3 });

describe('sequenceBatch', () => {
  it('pads each sequence to the right, in a row of its own', () => {
    fc.assert(
      fc.property(some(fc.oneof(prompted, unprompted)), filler, (sequences, more) => {
        const T = paddedLength(sequences, CONTEXT);
        const rows = sequences.length + more;
        const { specs, buffers } = sequenceBatch(sequences, { rows, T });
        expect(specs).toEqual({
          ids: { shape: [rows, T], dtype: 'int32' },
          mask: { shape: [rows, T - 1], dtype: 'float32' },
        });
        const padded = Array.from({ length: rows }, (_, row) => {
          const { promptTokens, tokens } = sequences[row] ?? { promptTokens: [], tokens: [] };
          return [...promptTokens, ...tokens, ...Array(T).fill(0)].slice(0, T);
        });
        expect([...buffers.ids!]).toEqual(padded.flat());
      }),
    );
  });

  it('masks in exactly the predictions of completion tokens: the one at t scores token t + 1', () => {
    fc.assert(
      fc.property(some(fc.oneof(prompted, unprompted)), filler, (sequences, more) => {
        const T = paddedLength(sequences, CONTEXT);
        const rows = sequences.length + more;
        const { ids, mask } = sequenceBatch(sequences, { rows, T }).buffers;
        const scored = Array.from({ length: rows }, (_, row) =>
          Array.from({ length: T - 1 }, (_, t) =>
            mask![row * (T - 1) + t] === 1 ? [ids![row * T + t + 1]!] : [],
          ).flat(),
        );
        // Nothing comes before the first token of a text without a prompt: it is not predicted.
        const expected = Array.from({ length: rows }, (_, row) => {
          const { promptTokens, tokens } = sequences[row] ?? { promptTokens: [0], tokens: [] };
          return promptTokens.length === 0 ? tokens.slice(1) : tokens;
        });
        expect(scored).toEqual(expected);
        expect([...mask!].every((x) => x === 0 || x === 1)).toBe(true);
      }),
    );
  });

  it('lays numbers of completion tokens out like the mask, and completionPart takes them back', () => {
    fc.assert(
      fc.property(some(prompted), filler, (sequences, more) => {
        const T = paddedLength(sequences, CONTEXT);
        const values = sequences.map(({ tokens }) => tokens.map((token) => token / 4));
        const batch = sequenceBatch(sequences, { rows: sequences.length + more, T }, { values });
        expect(
          sequences.map((sequence, row) => [...completionPart(batch.buffers.values!, row, T, sequence)]),
        ).toEqual(values);
        const masked = batch.buffers.values!.map((value, i) => (batch.buffers.mask![i] === 1 ? 0 : value));
        expect(masked.every((value) => value === 0)).toBe(true);
        expect(batch.specs.values).toEqual(batch.specs.mask);
      }),
    );
  });
});

describe('paddedLength', () => {
  it('fits the longest sequence, the context, and few programs', () => {
    fc.assert(
      fc.property(some(fc.oneof(prompted, unprompted)), (sequences) => {
        const T = paddedLength(sequences, CONTEXT);
        expect(T).toBeGreaterThanOrEqual(Math.max(...sequences.map(lengthOf)));
        expect([8, 16, CONTEXT]).toContain(T);
      }),
    );
  });
});

describe('paddedRows', () => {
  it('are less than twice the items, at most the micro-batch, and of few sizes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4096 }), fc.nat(), (microBatchSize, n) => {
        const items = 1 + (n % microBatchSize);
        const rows = paddedRows(items, microBatchSize);
        expect(rows).toBeGreaterThanOrEqual(items);
        expect(rows).toBeLessThan(2 * items);
        expect(rows).toBeLessThanOrEqual(microBatchSize);
        expect(rows === microBatchSize || Number.isInteger(Math.log2(rows))).toBe(true);
      }),
    );
    expect([1, 2, 3, 5, 8, 9, 12].map((items) => paddedRows(items, 12))).toEqual([1, 2, 4, 8, 8, 12, 12]);
  });
});

describe('microBatchesOf', () => {
  it('cuts items into groups of a size, those of like length together, each once', () => {
    fc.assert(
      fc.property(fc.array(prompted), fc.integer({ min: 1, max: 6 }), (sequences, rows) => {
        const groups = microBatchesOf(sequences, rows, lengthOf);
        expect(groups.map((group) => group.length)).toEqual(
          Array.from({ length: Math.ceil(sequences.length / rows) }, (_, i) =>
            Math.min(rows, sequences.length - i * rows),
          ),
        );
        const lengths = groups.flat().map(lengthOf);
        expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
        expect(new Set(groups.flat())).toEqual(new Set(sequences));
        expect(tokenCount(groups.flat())).toBe(tokenCount(sequences));
      }),
    );
  });

  it('keeps items of one length in their order: the bits of a run follow from its items', () => {
    const items = Array.from({ length: 9 }, (_, i) => ({ i }));
    expect(microBatchesOf(items, 4, () => 1).flat()).toEqual(items);
  });
});
