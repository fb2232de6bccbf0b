import { createRoute } from '@hono/zod-openapi';
import { problemResponse } from '@rlhf-streams/service';
import { z } from 'zod';
import type { Api } from '../api.js';
import { NextCursor, PageQuery, pageOf } from '../page.js';
import { hasTags, TagQuery } from '../tag-query.js';
import type { ExperimentsContext } from './context.js';
import { summaryExample } from './examples.js';
import { experimentsOf } from './known.js';
import { ExperimentSummary, requestedAt, summaryOfExperiment } from './view.js';

const ExperimentList = z
  .object({ experiments: z.array(ExperimentSummary), nextCursor: NextCursor })
  .meta({ id: 'ExperimentList' });

const route = createRoute({
  method: 'get',
  path: '/v1/experiments',
  tags: ['experiments'],
  summary: 'List experiments, the newest first',
  request: { query: PageQuery.extend({ tag: TagQuery.optional() }) },
  responses: {
    200: {
      description: 'A page of experiments',
      content: {
        'application/json': {
          schema: ExperimentList,
          example: { experiments: [summaryExample], nextCursor: null },
        },
      },
    },
    400: problemResponse('INVALID_REQUEST'),
  },
});

export function addListExperiments(api: Api, { runs }: ExperimentsContext): void {
  api.openapi(route, (c) => {
    const { tag = [], ...query } = c.req.valid('query');
    const matching = [...experimentsOf(runs.state)].filter(([, members]) =>
      members.some((run) => hasTags(run, tag)),
    );
    const { page, nextCursor } = pageOf(matching, query, ([name, members]) => ({
      requestedAt: requestedAt(members),
      name,
    }));
    const experiments = page.map(([name, members]) => summaryOfExperiment(name, members));
    return c.json({ experiments, nextCursor }, 200);
  });
}
