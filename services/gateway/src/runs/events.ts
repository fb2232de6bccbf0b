import { createRoute } from '@hono/zod-openapi';
import { withDeadline } from '@rlhf-streams/runtime';
import { z } from 'zod';
import type { Api } from '../api.js';
import { problemResponse } from '../problem.js';
import {
  checkPositions,
  decodeEventId,
  encodeEventId,
  type StreamPosition,
  streamTopics,
} from './event-id.js';
import { eventsExample } from './examples.js';
import { followRun, type RunEvent } from './follow-run.js';
import type { RunsContext } from './index.js';
import { knownRun, RunPath } from './known-run.js';

/** What every stream tells. */
const ALWAYS = ['runs', 'policy-versions', 'training-metrics'] as const;

const Topics = z
  .string()
  .transform((list) => list.split(','))
  .pipe(z.array(z.enum(streamTopics)));

const route = createRoute({
  method: 'get',
  path: '/v1/runs/{run}/events',
  tags: ['runs'],
  summary: 'Follow a run',
  description: [
    'Server-sent events: the life of the run, its policy versions and its steps, from the beginning and then live.',
    'Each has the `id` from which a client that reconnects with Last-Event-ID goes on without gap or repetition,',
    'the `event` type, and as `data` JSON of {id, type, topic, time, data}: work done twice has the same id there.',
    'The last event is `run.completed`, `run.failed` or `run.cancelled`.',
    'A stream that ends without it was cut by a restart: reconnect.',
  ].join(' '),
  request: {
    params: RunPath,
    query: z.object({
      topics: Topics.optional().describe(
        `further topics, separated by commas: of ${streamTopics.join(', ')}`,
      ),
    }),
    headers: z.object({
      'last-event-id': z.string().optional().describe('the id of the last event received'),
    }),
  },
  responses: {
    200: {
      description: 'Events',
      content: { 'text/event-stream': { schema: z.string(), example: eventsExample } },
    },
    204: { description: 'The end of the run was already received: do not reconnect' },
    400: problemResponse('INVALID_REQUEST, INVALID_EVENT_ID'),
    404: problemResponse('RUN_NOT_FOUND'),
  },
});

export function addRunEvents(api: Api, context: RunsContext): void {
  const { events, streams, draining } = context;
  api.openapi(route, async (c) => {
    const { run } = knownRun(c.req.valid('param').run, context);
    const topics = [...new Set([...ALWAYS, ...(c.req.valid('query').topics ?? [])])];
    const { positions: from, ended } = await startOf(run, c.req.valid('header')['last-event-id'], context);
    if (ended) return c.body(null, 204);
    // Nobody reads the stream that answers HEAD.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' });

    return streams.sse(c, async (stream, signal) => {
      // A write waits for the client; one that reads no more must not keep the service from ending.
      signal.addEventListener('abort', () => stream.abort(), { once: true });
      try {
        for await (const each of followRun(events, { run, topics, from, signal })) {
          await stream.writeSSE(messageOf(run, each));
        }
      } catch (error) {
        if (!signal.aborted && !draining.aborted) throw error;
      }
    });
  });
}

async function startOf(
  run: string,
  lastEventId: string | undefined,
  { log, timeoutMs }: Pick<RunsContext, 'log' | 'timeoutMs'>,
): Promise<StreamPosition> {
  if (!lastEventId) return { positions: {}, ended: false };
  const start = decodeEventId(run, lastEventId);
  await withDeadline(checkPositions(log, run, start.positions), timeoutMs, 'the log to tell its positions');
  return start;
}

function messageOf(run: string, { event, ...position }: RunEvent) {
  const { id, type, topic, time, data } = event;
  return {
    id: encodeEventId(run, position),
    event: type,
    data: JSON.stringify({ id, type, topic, time: new Date(time).toISOString(), data }),
  };
}
