import { createRoute } from '@hono/zod-openapi';
import { problemResponse } from '@rlhf-streams/service';
import { z } from 'zod';
import type { Api } from '../api.js';
import type { RunsContext } from './context.js';
import { stepExample } from './examples.js';
import { knownRun, RunPath } from './known-run.js';
import { StepMetrics } from './progress.js';
import { locationOf } from './view.js';

const MAX_STEPS = 10_000;

const route = createRoute({
  method: 'get',
  path: '/v1/runs/{run}/metrics',
  tags: ['runs'],
  summary: 'What each step measured',
  description: 'The steps recorded so far, in order. Follow the events of the run for those to come.',
  request: {
    params: RunPath,
    query: z.object({
      // The JSON schema is spelled out: coercion takes null for 0, and would document null too.
      from: z.coerce
        .number()
        .int()
        .min(0)
        .default(0)
        .meta({ type: 'integer', minimum: 0, default: 0, description: 'the first step wanted' }),
      limit: z.coerce
        .number()
        .int()
        .min(1)
        .max(MAX_STEPS)
        .default(MAX_STEPS)
        .describe('the most steps wanted'),
    }),
  },
  responses: {
    200: {
      description: 'Steps',
      headers: {
        Link: { description: 'rel="next": where there are more steps', schema: { type: 'string' } },
      },
      content: { 'application/json': { schema: z.array(StepMetrics), example: [stepExample] } },
    },
    400: problemResponse('INVALID_REQUEST'),
    404: problemResponse('RUN_NOT_FOUND'),
  },
});

export function addRunMetrics(api: Api, context: RunsContext): void {
  api.openapi(route, (c) => {
    const { run } = knownRun(c.req.valid('param').run, context);
    const { from, limit } = c.req.valid('query');
    const steps = context.history.progress.get(run) ?? [];
    const first = steps.findIndex(({ step }) => step >= from);
    const page = first < 0 ? [] : steps.slice(first, first + limit);
    const next = first < 0 ? undefined : steps[first + limit];
    const headers: Record<string, string> = next
      ? { link: `<${locationOf(run)}/metrics?from=${next.step}&limit=${limit}>; rel="next"` }
      : {};
    return c.json(page, 200, headers);
  });
}
