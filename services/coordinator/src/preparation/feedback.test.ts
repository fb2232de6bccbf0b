import { createEvents, topicSpecs } from '@rlhf-streams/bus';
import { memoryLog, type NewRecord } from '@rlhf-streams/log';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFeedback } from './feedback.js';

const signal = new AbortController().signal;

const feedbackOf = (feedback: string, change: object = {}) => ({
  feedback,
  collection: 'support',
  prompt: `about ${feedback}`,
  completions: ['yes', 'no'],
  ranks: [1, 2],
  labeler: 'somebody',
  ...change,
});

/** A record as a client publishes it that knows only the required headers. */
const recordOf = (data: { feedback: string }, { key = data.feedback, headers = {} } = {}): NewRecord => ({
  topic: 'feedback',
  key,
  value: JSON.stringify(data),
  headers: { ce_id: data.feedback, ce_type: 'feedback.recorded', ...headers },
});

/** What a run reads of collection `support`, each record published before the next. */
async function reading(records: readonly NewRecord[]) {
  let now = 0;
  const log = memoryLog({ now: () => now });
  try {
    await log.ensureTopics(topicSpecs);
    for (const record of records) {
      now += 1;
      await log.publish([record]);
    }
    const events = createEvents({ log, source: 'coordinator' });
    const feedback = await readFeedback({ events }, 'support', signal);
    // Another run reads the same again.
    expect(await readFeedback({ events }, 'support', signal)).toEqual(feedback);
    const rejected: unknown[] = [];
    for await (const { data } of events.readAll(['dead-letters'])) rejected.push(data);
    return { feedback, rejected };
  } finally {
    await log.close();
  }
}

describe('feedback', () => {
  it('of a collection comes in the order of its ids, in whatever order it was published', async () => {
    const all = Array.from({ length: 20 }, (_, i) => feedbackOf(`f-${i}`));
    const expected = all.toSorted((a, b) => (a.feedback < b.feedback ? -1 : 1));
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(all, { minLength: all.length }), async (shuffled) => {
        expect((await reading(shuffled.map((data) => recordOf(data)))).feedback).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });

  it('that was published first counts of those with one id, also where their keys differ', async () => {
    const keys = Array.from({ length: 12 }, (_, i) => `key ${i}`);
    const records = keys.map((key, i) => recordOf(feedbackOf('one', { prompt: `prompt ${i}` }), { key }));
    expect((await reading(records)).feedback).toEqual([feedbackOf('one', { prompt: 'prompt 0' })]);
    const another = recordOf(feedbackOf('one', { collection: 'other', prompt: 'prompt of another' }));
    expect((await reading([another, ...records])).feedback).toMatchObject([{ prompt: 'prompt 0' }]);
  });

  it('that is none lies among the dead letters, once, and the rest is read', async () => {
    const { feedback, rejected } = await reading([
      recordOf(feedbackOf('bad', { ranks: [1] })),
      recordOf(feedbackOf('a')),
      recordOf(feedbackOf('nameless'), { headers: { ce_id: '' } }),
      recordOf(feedbackOf('untyped'), { headers: { ce_type: 'feedback' } }),
      { topic: 'feedback', key: '', value: '' },
      {
        topic: 'feedback',
        key: 'no json',
        value: '{',
        headers: { ce_id: 'x', ce_type: 'feedback.recorded' },
      },
      recordOf(feedbackOf('b')),
    ]);
    expect(feedback.map(({ feedback }) => feedback)).toEqual(['a', 'b']);
    expect(rejected).toHaveLength(5);
    const causes = rejected.map((letter) => (letter as { cause: { message: string } }).cause.message);
    for (const said of [/one rank a completion/, /ce_id/, /got feedback$/, /got none$/, /to be JSON/])
      expect(causes.filter((message) => said.test(message))).not.toEqual([]);
  });

  it('that is missing is an error that names what is there', async () => {
    const others = ['sales', 'bugs'].map((collection, i) => recordOf(feedbackOf(`f-${i}`, { collection })));
    await expect(reading(others)).rejects.toMatchObject({
      code: 'RUN_DATA_EMPTY',
      message: expect.stringMatching(/collection support .*got none; there is feedback of bugs, sales$/),
    });
    await expect(reading([])).rejects.toMatchObject({ code: 'RUN_DATA_EMPTY' });
  });
});
