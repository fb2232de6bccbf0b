/** The resource /v1/dead-letters: records that no service could handle, the newest first. */
import { createRoute } from '@hono/zod-openapi';
import type { Received } from '@rlhf-streams/bus';
import { Cause, RunId, runOfLetter, type TopicName, topics } from '@rlhf-streams/events';
import { problemResponse, type ServiceContext } from '@rlhf-streams/service';
import { z } from 'zod';
import type { Api } from '../api.js';

/** How many dead letters are kept in memory, the newest; older ones remain on the topic. */
const MOST_LETTERS = 1000;
const MOST_TEXT_BYTES = 4096;

const DeadLetter = z
  .object({
    id: z.string(),
    time: z.iso.datetime(),
    service: z.string().describe('that could not handle the record'),
    source: z
      .object({ topic: z.string(), partition: z.int(), offset: z.int() })
      .describe('where the record stands'),
    key: z.string(),
    run: z.string().optional().describe('the run it is about, where it or its key names one'),
    cause: Cause,
    attempts: z.int(),
    data: z.string().describe(`what the record holds, as text; at most ${MOST_TEXT_BYTES} bytes of it`),
    bytes: z.int().describe('size of what the record holds'),
  })
  .meta({ id: 'DeadLetter' });
type DeadLetter = z.output<typeof DeadLetter>;

const DeadLetters = z
  .object({
    deadLetters: z.array(DeadLetter),
    nextCursor: z
      .string()
      .nullable()
      .describe('the query parameter `cursor` of the next page; null on the last'),
  })
  .meta({ id: 'DeadLetters' });

const example: DeadLetter = {
  id: 'reward/rollouts/2/417',
  time: '2026-03-02T09:14:07.412Z',
  service: 'reward',
  source: { topic: 'rollouts', partition: 2, offset: 417 },
  key: 'ppo-reviews/3/11',
  run: 'ppo-reviews',
  cause: { code: 'EVENT_NOT_JSON', message: 'expected the value of a rollout.generated event to be JSON' },
  attempts: 1,
  data: 'no JSON',
  bytes: 7,
};

const route = createRoute({
  method: 'get',
  path: '/v1/dead-letters',
  tags: ['dead-letters'],
  summary: 'List records that could not be handled, the newest first',
  description: `Of the newest ${MOST_LETTERS}. Topic \`dead-letters\` keeps them all, whole.`,
  request: {
    query: z.object({
      run: RunId.optional(),
      topic: z
        .enum(Object.keys(topics) as [TopicName, ...TopicName[]])
        .optional()
        .describe('on which the record stands'),
      limit: z.coerce.number().int().min(1).max(500).default(50),
      cursor: z
        .string()
        .regex(/^\d{1,15}\.\d{1,15}\.\d{1,15}$/, 'expected the nextCursor of another page')
        .optional()
        .describe('the nextCursor of the page before'),
    }),
  },
  responses: {
    200: {
      description: 'A page of dead letters',
      content: {
        'application/json': { schema: DeadLetters, example: { deadLetters: [example], nextCursor: null } },
      },
    },
    400: problemResponse('INVALID_REQUEST'),
  },
});

/** Where a letter stands in the list: time, then its place on the topic. */
type Place = readonly [time: number, partition: number, offset: number];

interface Kept {
  readonly place: Place;
  readonly letter: DeadLetter;
}

/** Resolves when all dead letters have been read that the log held at the start. */
export async function addDeadLetters(api: Api, { log, project }: ServiceContext): Promise<void> {
  const { earliest, latest } = await log.positions(['dead-letters']);
  const newest = latest['dead-letters']!.map((end, partition) =>
    Math.max(earliest['dead-letters']![partition]!, end - MOST_LETTERS),
  );
  const letters = project<'dead-letters', Kept>({
    topics: ['dead-letters'],
    from: { 'dead-letters': newest },
    apply: (state, event) => {
      state.set(`${event.partition}/${event.offset}`, keptOf(event));
      const [oldest] = state.keys();
      if (state.size > MOST_LETTERS) state.delete(oldest!);
    },
  });

  api.openapi(route, (c) => {
    const { run, topic, limit, cursor } = c.req.valid('query');
    const after = cursor?.split('.').map(Number) as unknown as Place | undefined;
    const matching = [...letters.state.values()]
      .filter(({ letter }) => run === undefined || letter.run === run)
      .filter(({ letter }) => topic === undefined || letter.source.topic === topic)
      .filter(({ place }) => !after || newestFirst(after, place) < 0)
      .sort((a, b) => newestFirst(a.place, b.place));
    const page = matching.slice(0, limit);
    const nextCursor = matching.length > limit ? page.at(-1)!.place.join('.') : null;
    return c.json({ deadLetters: page.map(({ letter }) => letter), nextCursor }, 200);
  });
  await letters.caughtUp;
}

function keptOf({ id, time, partition, offset, data }: Received<'dead-letters'>): Kept {
  const { service, source, key, cause, attempts } = data;
  const value = Buffer.from(data.value, 'base64');
  const run = runOfLetter(data);
  return {
    place: [time, partition, offset],
    letter: {
      id,
      time: new Date(time).toISOString(),
      service,
      source,
      key,
      ...(run !== undefined && { run }),
      cause,
      attempts,
      data: value.subarray(0, MOST_TEXT_BYTES).toString(),
      bytes: value.length,
    },
  };
}

const newestFirst = (a: Place, b: Place): number => b[0] - a[0] || b[1] - a[1] || b[2] - a[2];
