import { createRoute } from '@hono/zod-openapi';
import { explainUnknownKeys } from '@rlhf-streams/events';
import { hasEnded } from '@rlhf-streams/runs';
import { jsonResponse, problem, problemResponse } from '@rlhf-streams/service';
import { z } from 'zod';
import type { Api } from '../api.js';
import type { RunsContext } from './context.js';
import { runExample } from './examples.js';
import { knownRun, RunPath } from './known-run.js';
import { Run, viewOf } from './view.js';

export const Cancellation = z
  .strictObject(
    {
      reason: z
        .string()
        .min(1)
        .max(1000)
        .default('no reason given')
        .describe('shown as the cause of the end'),
    },
    { error: explainUnknownKeys },
  )
  .meta({ id: 'Cancellation' });

const route = createRoute({
  method: 'post',
  path: '/v1/runs/{run}/cancel',
  tags: ['runs'],
  summary: 'Cancel a run',
  description:
    'Answers when the cancellation is durable; work under way is given up soon after. Repeating it is safe.',
  request: {
    params: RunPath,
    body: {
      required: false,
      content: { 'application/json': { schema: Cancellation, example: { reason: 'the KL ran away' } } },
    },
  },
  responses: {
    202: jsonResponse('The run is cancelled', Run, {
      ...runExample,
      status: 'cancelled',
      cause: { code: 'RUN_CANCELLED', message: 'the KL ran away' },
    }),
    400: problemResponse('MALFORMED_JSON, INVALID_REQUEST'),
    404: problemResponse('RUN_NOT_FOUND'),
    409: problemResponse('RUN_ENDED: it has completed or failed'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUN_NOT_CONFIRMED: the log did not answer in time; repeat the request'),
  },
});

export function addCancelRun(api: Api, context: RunsContext): void {
  api.openapi(route, async (c) => {
    const known = knownRun(c.req.valid('param').run, context);
    const { run } = known;
    const { reason } = Cancellation.parse(c.req.valid('json'));
    const ended = hasEnded(known)
      ? known
      : (
          await context.confirm(
            { type: 'run.cancelled', data: { run, reason }, id: `${run}/cancelled` },
            hasEnded,
          )
        ).state;
    if (ended.status !== 'cancelled')
      throw problem(
        409,
        'RUN_ENDED',
        'The run has ended',
        `run ${run} has ${ended.status}: nothing is left to cancel`,
      );
    return c.json(viewOf(ended, context), 202);
  });
}
