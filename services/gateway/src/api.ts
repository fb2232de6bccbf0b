/** The HTTP interface as a whole: its index and its OpenAPI document. Resources add their own routes. */
import { readFileSync } from 'node:fs';
import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { validationHook } from '@rlhf-streams/service';
import { z } from 'zod';

export type Api = OpenAPIHono;

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
  responses: {
    200: { description: 'Links', content: { 'application/json': { schema: Index, example: index } } },
  },
});

/** An app whose failed validations are problems. Keep the variable: chained calls lose the OpenAPI type. */
export function createApi(): Api {
  const api = new OpenAPIHono({ defaultHook: validationHook });
  api.openapi(indexRoute, (c) => c.json(index, 200));
  api.get('/openapi.json', (c) => {
    const document = api.getOpenAPI31Document({
      openapi: '3.1.0',
      info: {
        title: 'rlhf-streams',
        version,
        description:
          'Alignment training as event streams. Every error is an RFC 9457 problem with a stable `code`. At a loopback address, requests must name this machine as their Host (403 HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED).',
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
      tags: [
        { name: 'runs', description: 'Training runs: request, watch, cancel' },
        {
          name: 'experiments',
          description: 'Sets of runs that are requested together and wait for each other',
        },
        { name: 'dead-letters', description: 'Records that could not be handled' },
      ],
    });
    return c.json(document);
  });
  return api;
}
