/** HTTP that documents itself: the schemas that check a request are those of the OpenAPI document. */
import { readFileSync } from 'node:fs';
import { OpenAPIHono } from '@hono/zod-openapi';
import { explainMistake } from '@rlhf-streams/events';
import { z } from 'zod';
import { type ProblemDetails, validationHook } from './problem.js';
import { validatedBody } from './validated-body.js';

/**
 * What a service adds its routes to. A request that does not fit its route's schemas is answered with a problem. Keep the
 * variable: chained calls lose the OpenAPI type.
 * @example
 * http.openapi(createRoute({ method: 'get', path: '/v1/runs/{run}', ... }), (c) => c.json(view, 200));
 */
export type Http = OpenAPIHono;

/** What the OpenAPI document says of a service as a whole, besides what holds for every service. */
export interface ApiDescription {
  readonly description?: string;
  readonly tags?: readonly { readonly name: string; readonly description: string }[];
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const EVERYWHERE =
  'Every error is an RFC 9457 problem with a stable `code`. At a loopback address, requests must name this machine as their Host (403 HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED).';

export function createHttp(): Http {
  // zod-openapi parses queries and paths without options: what a schema has no words for, it says in these.
  z.config({ customError: explainMistake });
  return new OpenAPIHono({ defaultHook: validationHook });
}

/** Adds /openapi.json: the document of all routes that are added with `openapi`, before and after. */
export function addDocument(http: Http, name: string, { description, tags = [] }: ApiDescription): void {
  http.get('/openapi.json', (c) =>
    c.json(
      http.getOpenAPI31Document({
        openapi: '3.1.0',
        info: {
          title: `rlhf-streams ${name}`,
          version,
          description: [description, EVERYWHERE].filter(Boolean).join(' '),
          license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
        },
        tags: [...tags],
      }),
    ),
  );
}

/**
 * The JSON body of a route. Mistakes are explained, and other media types refused, as by `validatedBody`.
 * @example
 * createRoute({ method: 'post', path: '/v1/scores', ...jsonBody(ScoreRequest, { run: 'ppo', texts: ['x'] }), responses })
 */
export const jsonBody = <Schema extends z.ZodType>(schema: Schema, example: z.input<Schema>) => ({
  middleware: validatedBody(schema),
  request: { body: { required: true, content: { 'application/json': { schema, example } } } },
});

/** A JSON answer of a route. */
export const jsonResponse = <Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  example: z.input<Schema>,
) => ({ description, content: { 'application/json': { schema, example } } });

const Problem = z
  .object({
    type: z.string().describe('a URN, one for each code'),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string().describe('path of the request'),
    code: z.string().describe('stable and machine-readable'),
    errors: z
      .array(z.object({ path: z.string(), message: z.string(), code: z.string() }))
      .readonly()
      .optional()
      .describe('every mistake of the request, by its path'),
  })
  .meta({ id: 'Problem' }) satisfies z.ZodType<ProblemDetails>;

/** A problem among the answers of a route; the description names its codes. */
export const problemResponse = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: Problem } },
});
