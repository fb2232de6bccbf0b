import { createRoute } from '@hono/zod-openapi';
import { problemResponse } from '@rlhf-streams/service';
import type { Api } from '../api.js';
import type { RunsContext } from './context.js';
import { runExample } from './examples.js';
import { knownRun, RunPath } from './known-run.js';
import { Run, viewOf } from './view.js';

const route = createRoute({
  method: 'get',
  path: '/v1/runs/{run}',
  tags: ['runs'],
  summary: 'Show a run',
  request: { params: RunPath },
  responses: {
    200: {
      description: 'Its configuration, and how far it has come',
      content: { 'application/json': { schema: Run, example: runExample } },
    },
    400: problemResponse('INVALID_REQUEST: that is no run id'),
    404: problemResponse('RUN_NOT_FOUND'),
  },
});

export function addShowRun(api: Api, context: RunsContext): void {
  api.openapi(route, (c) => c.json(viewOf(knownRun(c.req.valid('param').run, context), context), 200));
}
