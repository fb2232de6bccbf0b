/** The HTTP interface as a whole: its index, and what its OpenAPI document says of it. Resources add their own routes. */
import { readFileSync } from 'node:fs';
import { createRoute } from '@hono/zod-openapi';
import { type ApiDescription, type Http, jsonResponse } from '@rlhf-streams/service';
import { z } from 'zod';

export type Api = Http;

export const api: ApiDescription = {
  description: 'Alignment training as event streams.',
  tags: [
    { name: 'runs', description: 'Training runs: request, watch, cancel' },
    {
      name: 'experiments',
      description: 'Sets of runs that are requested together and wait for each other',
    },
    { name: 'dead-letters', description: 'Records that could not be handled' },
  ],
};

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const Index = z
  .object({ name: z.string(), version: z.string(), links: z.record(z.string(), z.string()) })
  .meta({ id: 'Index' });

const index: z.output<typeof Index> = {
  name: 'rlhf-streams',
  version,
  links: {
    runs: '/v1/runs',
    experiments: '/v1/experiments',
    deadLetters: '/v1/dead-letters',
    openapi: '/openapi.json',
    health: '/healthz',
    ready: '/readyz',
    metrics: '/metrics',
  },
};

const indexRoute = createRoute({
  method: 'get',
  path: '/',
  summary: 'What there is',
  responses: { 200: jsonResponse('Links', Index, index) },
});

export function addIndex(http: Api): void {
  http.openapi(indexRoute, (c) => c.json(index, 200));
}
