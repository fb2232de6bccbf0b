import { createRoute } from '@hono/zod-openapi';
import { z } from 'zod';
import type { Api } from '../api.js';
import { problemResponse } from '../problem.js';
import type { RunsContext } from './context.js';
import { summaryExample } from './examples.js';
import { Method, RunSummary, Status, summaryOf } from './view.js';

/** Where a run stands in the list: time of its request, then its id. */
interface Place {
  readonly requestedAt: number;
  readonly run: string;
}

const Cursor = z
  .string()
  .regex(/^\d{1,15}\.[a-z0-9][a-z0-9._-]{0,99}$/, 'expected the nextCursor of another page');

const RunList = z
  .object({
    runs: z.array(RunSummary),
    nextCursor: z
      .string()
      .nullable()
      .describe('the query parameter `cursor` of the next page; null on the last'),
  })
  .meta({ id: 'RunList' });

const route = createRoute({
  method: 'get',
  path: '/v1/runs',
  tags: ['runs'],
  summary: 'List runs, the newest first',
  request: {
    query: z.object({
      status: Status.optional(),
      method: Method.optional(),
      limit: z.coerce.number().int().min(1).max(500).default(50),
      cursor: Cursor.optional().describe('the nextCursor of the page before'),
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
    const { status, method, limit, cursor } = c.req.valid('query');
    const after = cursor === undefined ? undefined : placeOf(cursor);
    const matching = [...context.runs.state.values()]
      .filter((state) => status === undefined || state.status === status)
      .filter((state) => method === undefined || state.config?.method === method)
      .filter((state) => !after || newestFirst(after, state) < 0)
      .sort(newestFirst);
    const page = matching.slice(0, limit);
    const last = page.at(-1);
    return c.json(
      {
        runs: page.map((state) => summaryOf(state, context)),
        nextCursor: last && matching.length > limit ? cursorOf(last) : null,
      },
      200,
    );
  });
}

const newestFirst = (a: Place, b: Place): number =>
  b.requestedAt - a.requestedAt || (a.run < b.run ? -1 : Number(a.run > b.run));

const cursorOf = ({ requestedAt, run }: Place): string => `${requestedAt}.${run}`;

function placeOf(cursor: string): Place {
  const dot = cursor.indexOf('.');
  return { requestedAt: Number(cursor.slice(0, dot)), run: cursor.slice(dot + 1) };
}
