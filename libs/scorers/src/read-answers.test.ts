import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAnswers } from './read-answers.js';

const read = (row: unknown) => readAnswers([row], ['id'])[0];

describe('a row of an answer', () => {
  it('is a score, its parts, or null of what does not apply', () => {
    expect(read(1.5)).toEqual({ score: 1.5 });
    expect(read({ score: -2, parts: { tone: 0.5, facts: null } })).toEqual({
      score: -2,
      parts: { tone: 0.5, facts: null },
    });
    expect(read({ id: 'id', score: 0, note: 'more is left alone' })).toEqual({ score: 0 });
    expect(read(null)).toBeNull();
    expect(read({ score: null })).toBeNull();
  });

  it.each([
    ['text', '1.5', 'SCORER_ANSWER', "got '1.5'"],
    ['NaN', Number.NaN, 'SCORER_ANSWER', 'got NaN'],
    ['an infinity', { score: Number.POSITIVE_INFINITY }, 'SCORER_ANSWER', 'got { score: Infinity }'],
    ['nothing', undefined, 'SCORER_ANSWER', 'got nothing'],
    ['no score', {}, 'SCORER_ANSWER', 'expected score or error'],
    ['a part of text', { score: 1, parts: { tone: 'good' } }, 'SCORER_ANSWER', 'expected a finite number'],
    [
      'more parts than metrics can take',
      { score: 1, parts: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [i, 1])) },
      'SCORER_ANSWER',
      'at most 32 parts',
    ],
    ['the id of another', { id: 'other', score: 1 }, 'SCORER_MISALIGNED', "got that of 'other'"],
    ['an error', { error: 'too long for me' }, 'SCORER_REFUSED', 'too long for me'],
  ])('that is %s is a failure', (_, row, code, said) => {
    expect(read(row)).toMatchObject({ code, message: expect.stringContaining(said) });
  });
});

const rowOf = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constant(null),
  fc.constant('text'),
  fc.constant(Number.NaN),
);

describe('rows', () => {
  it('are each the answer of their own id, whatever is wrong with others', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uuid(), rowOf), { maxLength: 20 }), (pairs) => {
        const ids = pairs.map(([id]) => id);
        const answers = readAnswers(
          pairs.map(([, row]) => row),
          ids,
        );
        pairs.forEach(([, row], index) => {
          if (row === null) expect(answers[index]).toBeNull();
          else if (typeof row === 'number' && Number.isFinite(row))
            expect(answers[index]).toEqual({ score: row });
          else expect(answers[index]).toBeInstanceOf(Error);
        });
      }),
    );
  });

  it('that come with ids give a completion its own score or none, in whatever order they come', () => {
    const shuffled = fc
      .uniqueArray(fc.uuid(), { minLength: 1, maxLength: 12 })
      .chain((ids) => fc.tuple(fc.constant(ids), fc.shuffledSubarray(ids, { minLength: ids.length })));
    fc.assert(
      fc.property(shuffled, ([ids, order]) => {
        const answers = readAnswers(
          order.map((id) => ({ id, score: ids.indexOf(id) })),
          ids,
        );
        answers.forEach((answer, index) => {
          if (answer instanceof Error) expect(answer).toMatchObject({ code: 'SCORER_MISALIGNED' });
          else expect(answer).toEqual({ score: index });
        });
      }),
    );
  });

  it('of another number are refused together: none can be told from another', () => {
    for (const rows of [[1], [1, 2, 3]])
      expect(() => readAnswers(rows, ['a', 'b'])).toThrow(
        expect.objectContaining({ code: 'SCORER_MISALIGNED' }),
      );
    expect(() => readAnswers({ 0: 1 }, ['a'])).toThrow(expect.objectContaining({ code: 'SCORER_ANSWER' }));
  });
});
