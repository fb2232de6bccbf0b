import { expect, it } from 'vitest';
import { z } from 'zod';
import { explainMistake } from './explain.js';

const Request = z.strictObject({
  run: z.string().min(1),
  texts: z.array(z.string().max(5)).min(1).max(2),
  temperature: z.number().positive().max(10).optional(),
  samples: z.int().multipleOf(2).optional(),
  order: z.enum(['newest', 'oldest']).optional(),
  url: z.url().optional(),
  name: z.string('expected the name of a model').optional(),
});

it.each([
  ['a list', [], 'expected an object, got []'],
  ['nothing', { texts: ['a'] }, 'run: expected a string, got nothing'],
  ['another type', { run: 7, texts: ['a'] }, 'run: expected a string, got 7'],
  ['no text', { run: '', texts: ['a'] }, 'run: expected at least 1 character, got 0'],
  ['no items', { run: 'r', texts: [] }, 'texts: expected at least 1 item, got 0'],
  ['many items', { run: 'r', texts: ['a', 'b', 'c'] }, 'texts: expected at most 2 items, got 3'],
  ['a long text', { run: 'r', texts: ['abcdef'] }, 'texts.0: expected at most 5 characters, got 6'],
  ['a low number', { run: 'r', texts: ['a'], temperature: 0 }, 'temperature: expected more than 0, got 0'],
  ['a high number', { run: 'r', texts: ['a'], temperature: 11 }, 'temperature: expected at most 10, got 11'],
  ['a fraction', { run: 'r', texts: ['a'], samples: 1.5 }, 'samples: expected a whole number, got 1.5'],
  ['an odd number', { run: 'r', texts: ['a'], samples: 3 }, 'samples: expected a multiple of 2, got 3'],
  [
    'a typing error',
    { run: 'r', texts: ['a'], order: 'newset' },
    "order: expected one of newest, oldest, got 'newset': did you mean newest?",
  ],
  ['no URL', { run: 'r', texts: ['a'], url: 'there' }, "url: expected a URL, got 'there'"],
  ['what a schema has words for', { run: 'r', texts: ['a'], name: 1 }, 'name: expected the name of a model'],
  ['an unknown key', { run: 'r', text: 'a', texts: ['a'] }, 'no such key: text (did you mean texts?)'],
])('says what was expected and what came: %s', (_, value, said) => {
  const { error } = Request.safeParse(value, { error: explainMistake });
  const [issue] = error!.issues;
  const path = issue!.path.join('.');
  expect(path === '' ? issue!.message : `${path}: ${issue!.message}`).toBe(said);
});

it('shows a long value in part', () => {
  const { error } = Request.safeParse('x'.repeat(1000), { error: explainMistake });
  expect(error!.issues[0]!.message.length).toBeLessThan(120);
});
