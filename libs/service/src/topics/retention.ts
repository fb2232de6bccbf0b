import { z } from 'zod';

const MINUTE = 60 * 1000;
const UNITS = { m: MINUTE, h: 60 * MINUTE, d: 24 * 60 * MINUTE } as const;
/** What is read again after a crash, or by a service that was down, must still be there. */
const SHORTEST = UNITS.h;
const EXPECTED = 'expected a duration of at least 1h, as 7d, 12h or 90m, or forever';

/** How long a record is kept: `7d`, `12h`, `90m`, as milliseconds, or `forever`. At least an hour. */
export const Retention = z.string(EXPECTED).transform((text, { addIssue }): number | 'forever' => {
  if (text === 'forever') return text;
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const milliseconds = Number(count) * UNITS[unit as keyof typeof UNITS];
  if (milliseconds >= SHORTEST) return milliseconds;
  addIssue({ code: 'custom', message: EXPECTED });
  return z.NEVER;
});
