import { createRoute } from '@hono/zod-openapi';
import { furthest } from '@rlhf-streams/archive';
import type { Positions } from '@rlhf-streams/log';
import { hasEnded } from '@rlhf-streams/runs';
import { problemResponse } from '@rlhf-streams/service';
import { withDeadline } from '@rlhf-streams/waiting';
import { z } from 'zod';
import type { Api } from '../api.js';
import type { RunsContext } from './context.js';
import { checkPositions, decodeEventId, encodeEventId, type StreamPosition } from './event-id.js';
import { eventsExample } from './examples.js';
import { coreTopics } from './history.js';
import { knownRun, RunPath } from './known-run.js';
import { beginningOf, coreEvents, eventsOfEndedRun, eventsOfLiveRun, type RunEvent } from './run-events.js';
import { streamTopics } from './stream-topics.js';

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
    'Further topics are `prompts`, `rollouts` and the like, and `dead-letters` for records of the run that failed.',
    'The last event is `run.completed`, `run.failed` or `run.cancelled`; of a run that was extended, the last of those.',
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
    204: {
      description: 'The end of the run was already received: reconnect only when it has been extended',
    },
    400: problemResponse('INVALID_REQUEST, INVALID_EVENT_ID'),
    404: problemResponse('RUN_NOT_FOUND'),
  },
});

export function addRunEvents(api: Api, context: RunsContext): void {
  const { streams, draining, history } = context;
  api.openapi(route, async (c) => {
    const state = knownRun(c.req.valid('param').run, context);
    const { run, requestOffset } = state;
    const asked = new Set(c.req.valid('query').topics);
    const further = [...asked].filter((topic) => !coreTopics.some((always) => always === topic));
    const { positions, ended } = await startOf(run, c.req.valid('header')['last-event-id'], context);
    if (ended && !goesOnSince(run, positions, context)) return c.body(null, 204);
    // Nobody reads the stream that answers HEAD.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' });

    return streams.sse(c, async (stream, signal) => {
      // A write waits until the client reads: a client that does not must not keep the service from stopping.
      signal.addEventListener('abort', () => stream.abort(), { once: true });
      // A first byte tells the client that the stream is open, however long the first event takes.
      await stream.write(': open\n\n');
      const options = { run, requestOffset, from: positions, signal };
      const sent =
        further.length === 0
          ? coreEvents(history, options)
          : hasEnded(state)
            ? eventsOfEndedRun(context, { ...options, further, view: state })
            : eventsOfLiveRun(context, {
                ...options,
                further,
                archive: state.archive,
                from: furthest(beginningOf(run, state.from, history), positions),
              });
      try {
        for await (const each of sent) {
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
  await withDeadline(checkPositions(log, run, start.positions), {
    ms: timeoutMs,
    late: 'the log to tell its positions',
  });
  return start;
}

/** Whether a run whose end was received has been extended since. */
const goesOnSince = (run: string, received: Positions, { history }: Pick<RunsContext, 'history'>): boolean =>
  history
    .eventsOf(run)
    .some(
      ({ topic, type, partition, offset }) =>
        topic === 'runs' && type === 'run.extended' && offset >= (received.runs?.[partition] ?? 0),
    );

function messageOf(run: string, { event, ...position }: RunEvent) {
  const { id, type, topic, time, data } = event;
  return {
    id: encodeEventId(run, position),
    event: type,
    data: JSON.stringify({ id, type, topic, time: new Date(time).toISOString(), data }),
  };
}
