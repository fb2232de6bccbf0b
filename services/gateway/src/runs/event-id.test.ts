import { topicSpecs } from '@rlhf-streams/bus';
import { memoryLog } from '@rlhf-streams/log';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPositions, decodeEventId, encodeEventId } from './event-id.js';
import { streamTopics } from './stream-topics.js';

const position = fc.record({
  positions: fc
    .uniqueArray(
      fc.tuple(fc.constantFrom(...streamTopics), fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 6 })),
      { selector: ([topic]) => topic },
    )
    .map((entries) => Object.fromEntries(entries)),
  ended: fc.boolean(),
});
const invalid = expect.objectContaining({ status: 400, code: 'INVALID_EVENT_ID' });

describe('event ids', () => {
  it('give back what they were made of', () => {
    fc.assert(
      fc.property(position, (at) => {
        expect(decodeEventId('r1', encodeEventId('r1', at))).toEqual(at);
      }),
    );
  });

  it('are short, and fit a header', () => {
    const id = encodeEventId('r1', {
      positions: { runs: [0, 0, 3], 'training-metrics': [41_000] },
      ended: false,
    });
    expect(id).toMatch(/^[0-9a-f]{8}~0\.0\.0\.3~2\.vmw$/);
  });

  it('leave out topics of which nothing was read', () => {
    const id = encodeEventId('r1', { positions: { runs: [1], rewards: [] }, ended: false });
    expect(decodeEventId('r1', id)).toEqual({ positions: { runs: [1] }, ended: false });
  });

  it('are refused for another run, and when anything about them is changed', () => {
    const id = encodeEventId('r1', { positions: { runs: [0, 12], rollouts: [7] }, ended: false });
    expect(() => decodeEventId('r2', id)).toThrow(invalid);
    fc.assert(
      fc.property(fc.nat(id.length - 1), fc.constantFrom(...'0123456789abcz.~!'), (at, character) => {
        fc.pre(id[at] !== character);
        expect(() => decodeEventId('r1', id.slice(0, at) + character + id.slice(at + 1))).toThrow(invalid);
        expect(() => decodeEventId('r1', id.slice(0, at))).toThrow(invalid);
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeEventId('r1', text)).toThrow(invalid);
      }),
    );
  });

  it('are refused when they lie beyond the end of the log', async () => {
    const log = memoryLog();
    await log.ensureTopics(topicSpecs);
    await checkPositions(log, 'r1', { runs: [0, 0, 0, 0, 0, 0] });
    await expect(checkPositions(log, 'r1', { runs: [1] })).rejects.toThrow(invalid);
    await expect(checkPositions(log, 'r1', { runs: [0, 0, 0, 0, 0, 0, 0] })).rejects.toThrow(invalid);
    await log.close();
  });
});
