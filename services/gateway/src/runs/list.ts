import { createRoute } from '@hono/zod-openapi';
import { ExperimentName } from '@rlhf-streams/events';
import { problemResponse } from '@rlhf-streams/service';
import { z } from 'zod';
import type { Api } from '../api.js';
import { NextCursor, PageQuery, pageOf } from '../page.js';
import { hasTags, TagQuery } from '../tag-query.js';
import type { RunsContext } from './context.js';
import { summaryExample } from './examples.js';
import { Method, RunSummary, Status, summaryOf } from './view.js';

const RunList = z.object({ runs: z.array(RunSummary), nextCursor: NextCursor }).meta({ id: 'RunList' });

const route = createRoute({
  method: 'get',
  path: '/v1/runs',
  tags: ['runs'],
  summary: 'List runs, the newest first',
  request: {
    query: PageQuery.extend({
      status: Status.optional(),
      method: Method.optional(),
      experiment: ExperimentName.optional(),
      tag: TagQuery.optional(),
    }),
  },
  responses: {
    200: {
      description: 'A page of runs',
      content: {
        'application/json': { schema: RunList, example: { runs: [summaryExample], nextCursor: null } },
      },
    },
    400: problemResponse('INVALID_REQUEST'),
  },
});

export function addListRuns(api: Api, context: RunsContext): void {
  api.openapi(route, (c) => {
    const { status, method, experiment, tag = [], ...query } = c.req.valid('query');
    const matching = [...context.runs.state.values()]
      .filter((state) => status === undefined || state.status === status)
      .filter((state) => method === undefined || state.config?.method === method)
      .filter((state) => experiment === undefined || state.experiment === experiment)
      .filter((state) => hasTags(state, tag));
    const { page, nextCursor } = pageOf(matching, query, ({ requestedAt, run }) => ({
      requestedAt,
      name: run,
    }));
    return c.json({ runs: page.map((state) => summaryOf(state, context)), nextCursor }, 200);
  });
}
