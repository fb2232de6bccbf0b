/** The answers of a scorer that is not ours, each checked by itself: what is wrong with one is no other's failure. */
import { shown } from '@rlhf-streams/events';
import { z } from 'zod';
import type { Answer } from './answer.js';
import { ScorerError } from './errors.js';

const Parts = z.record(z.string().min(1).max(100), z.number().nullable());
const Row = z.union([
  z.number(),
  z.null(),
  z.object({
    id: z.string().optional(),
    score: z.number().nullable().optional(),
    parts: Parts.optional(),
    error: z.string().optional(),
  }),
]);

/** Parts of a score, so that metrics stay few. */
const MOST_PARTS = 32;
const LONGEST_QUOTE = 200;

/**
 * One answer for each id, in their order. A row is a number, null, or `{ id?, score, parts?, error? }`.
 * @throws ScorerError SCORER_MISALIGNED where the number of rows is another than that of the ids: no score can be told
 *   from another's then
 */
export function readAnswers(rows: unknown, ids: readonly string[]): Answer[] {
  if (!Array.isArray(rows))
    throw new ScorerError('SCORER_ANSWER', `expected a list of scores, got ${shown(rows)}`);
  if (rows.length !== ids.length)
    throw new ScorerError(
      'SCORER_MISALIGNED',
      `expected ${ids.length} scores, one a completion, got ${rows.length}`,
    );
  return rows.map((row, index) => readAnswer(row, ids[index]!));
}

function readAnswer(row: unknown, id: string): Answer {
  const result = Row.safeParse(row);
  if (!result.success)
    return wrong(`expected a finite number, null, or { score, parts?, error? }, got ${shown(row)}`);
  const { data } = result;
  if (data === null) return null;
  if (typeof data === 'number') return { score: data };
  if (data.id !== undefined && data.id !== id)
    return new ScorerError(
      'SCORER_MISALIGNED',
      `expected the score of ${id} in its place, got that of ${shown(data.id)}`,
    );
  if (data.error !== undefined)
    return new ScorerError('SCORER_REFUSED', `the scorer refused: ${data.error.slice(0, LONGEST_QUOTE)}`);
  const { score, parts } = data;
  if (score === undefined) return wrong(`expected score or error, got ${shown(row)}`);
  if (score === null) return null;
  if (parts && Object.keys(parts).length > MOST_PARTS)
    return wrong(`expected at most ${MOST_PARTS} parts of a score, got ${Object.keys(parts).length}`);
  return { score, ...(parts && { parts }) };
}

const wrong = (message: string) => new ScorerError('SCORER_ANSWER', message);
