import type { z } from 'zod';
import { nearest } from './nearest.js';

const MOST_NAMED = 20;

/**
 * What zod is to say of keys that a strict object does not have: which ones were meant, or which there are.
 *
 * @example
 * schema.safeParse(value, { error: explainUnknownKeys });
 */
export const explainUnknownKeys: z.core.$ZodErrorMap = (issue) => {
  if (issue.code !== 'unrecognized_keys') return undefined;
  const known = Object.keys((issue.inst as z.core.$ZodObject)._zod.def.shape);
  const unknown = issue.keys.slice(0, MOST_NAMED).map((key) => ({ key, meant: nearest(key, known) }));
  const keys = unknown.map(({ key, meant }) =>
    meant === undefined ? key : `${key} (did you mean ${meant}?)`,
  );
  const more = issue.keys.length > MOST_NAMED ? ` and ${issue.keys.length - MOST_NAMED} more` : '';
  const there = unknown.some(({ meant }) => meant === undefined) ? `; there are ${known.join(', ')}` : '';
  return `no such key: ${keys.join(', ')}${more}${there}`;
};
