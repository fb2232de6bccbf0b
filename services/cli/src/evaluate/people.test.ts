import type { ReadDependencies } from '@rlhf-streams/archive';
import { expect, it } from 'vitest';
import type { Episode } from '../runs/read-episodes.js';
import { readPeople } from './people.js';

const said = (feedback: string, completions: string[], ranks: number[], change: object = {}) => ({
  type: 'feedback.recorded',
  data: { feedback, collection: 'c', prompt: 'p', completions, ranks, labeler: 'l', ...change },
});

const judgeOf = (...events: object[]) =>
  readPeople(
    {
      events: {
        readAll: async function* () {
          yield* events;
        },
      },
    } as unknown as ReadDependencies,
    'c',
  );

const answer = (text: string) => ({ rollout: { text } }) as Episode;
const pair = { prompt: 'p', a: answer(' x'), b: answer('y') };

it('people judge pairs that they ranked, by majority, each record once', async () => {
  const one = said('1', ['x', 'y', 'z'], [1, 2, 3]);
  expect((await judgeOf(one, one)).judge(pair)).toEqual({ outcome: 'a' });
  const two = await judgeOf(one, said('2', ['y', 'x'], [1, 2]));
  expect(two.judge(pair)).toEqual({ outcome: 'tie' });
  const three = await judgeOf(one, said('2', ['y', 'x'], [1, 2]), said('3', ['y', 'x'], [1, 2]));
  expect(three.judge(pair)).toEqual({ outcome: 'b' });
});

it('people say nothing of what they did not see', async () => {
  const { name, judge } = await judgeOf(
    said('1', ['x', 'z'], [1, 2]),
    said('2', ['x', 'y'], [1, 2], { collection: 'other' }),
    said('3', ['x', 'y'], [1, 2], { prompt: 'another' }),
  );
  expect(name).toBe('c');
  expect(judge(pair)).toBeUndefined();
});
