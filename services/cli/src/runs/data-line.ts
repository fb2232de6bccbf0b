import type { DataAccount } from '@rlhf-streams/events';
import { DUPLICATE_PROMPT, HELD_OUT_SURPLUS } from '@rlhf-streams/runs';

const EXPECTED = new Set([DUPLICATE_PROMPT, HELD_OUT_SURPLUS]);

/**
 * What became of a run's rows, in a line: `64 rows: 16 used, 48 dropped (longer than the context of 64 tokens)`.
 * @returns undefined when nothing is to be known: none was cut, and none dropped but those that every run of the kind drops
 */
export function dataLine({ read, used, cut, dropped, noted = {} }: DataAccount): string | undefined {
  const reasons = Object.entries(dropped).sort(([, a], [, b]) => b - a);
  const notes = Object.entries(noted);
  if (cut === 0 && notes.length === 0 && reasons.every(([reason]) => EXPECTED.has(reason))) return undefined;
  const one = reasons.length === 1;
  const why = reasons.map(([reason, rows]) => (one ? reason : `${rows} ${reason}`)).join(', ');
  return [
    `${read} rows: ${used} used`,
    ...(cut > 0 ? [`${cut} of them cut to what the model takes`] : []),
    ...(reasons.length > 0 ? [`${read - used} dropped (${why})`] : []),
    ...notes.map(([note, rows]) => `of ${rows}: ${note}`),
  ].join(', ');
}
