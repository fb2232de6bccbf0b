/** What zod is to say of a mistake: what was expected, what came, and what was meant. */
import { inspect } from 'node:util';
import type { z } from 'zod';
import { nearest } from './nearest.js';

type RawIssue = z.core.$ZodRawIssue;

/**
 * A mistake for which a schema has no words of its own.
 *
 * @example
 * schema.safeParse(value, { error: explainMistake }); // "expected at most 256 items, got 300"
 */
export const explainMistake: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'unrecognized_keys') return explainUnknownKeys(issue);
  const expected = expectedBy(issue);
  return expected && `${expected}, got ${cameTo(issue)}${hintFor(issue)}`;
};

/** The first half of `explainMistake`, for those who know better what came: "expected at most 256 items". */
export function expectedBy(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${KINDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `expected ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `expected ${boundOf(issue, issue.minimum, issue.inclusive === false ? 'more than' : 'at least')}`;
    case 'too_big':
      return `expected ${boundOf(issue, issue.maximum, issue.inclusive === false ? 'less than' : 'at most')}`;
    case 'not_multiple_of':
      return `expected a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return `expected ${FORMATS[issue.format] ?? `text of the form ${issue.pattern ?? issue.format}`}`;
    default:
      return undefined;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

const FORMATS: Readonly<Record<string, string>> = { url: 'a URL', datetime: 'a date and time of ISO 8601' };

/** What is counted of a value that is too short or too long. */
const COUNTED: Readonly<Record<string, { readonly one: string; readonly many: string }>> = {
  string: { one: 'character', many: 'characters' },
  array: { one: 'item', many: 'items' },
};

function boundOf(
  { origin, exact }: RawIssue & { exact?: boolean },
  bound: number | bigint,
  how: string,
): string {
  const counted = COUNTED[String(origin)];
  const unit = counted ? ` ${Number(bound) === 1 ? counted.one : counted.many}` : '';
  return `${exact ? 'exactly' : how} ${bound}${unit}`;
}

function cameTo({ code, origin, input }: RawIssue): string {
  const isTooMuch = code === 'too_small' || code === 'too_big';
  if (isTooMuch && COUNTED[String(origin)]) return String((input as { length: number }).length);
  return shown(input);
}

function hintFor(issue: RawIssue): string {
  if (issue.code !== 'invalid_value' || typeof issue.input !== 'string') return '';
  const meant = nearest(issue.input, issue.values.map(String));
  return meant === undefined ? '' : `: did you mean ${meant}?`;
}

const MOST_SHOWN = 60;

/** What came, short enough to be read. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxStringLength: MOST_SHOWN,
  });
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

const MOST_NAMED = 20;

/** Keys that a strict object does not have: which ones were meant, or which there are. */
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
