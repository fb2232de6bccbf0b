import { createRoute } from '@hono/zod-openapi';
import { runConfigMistakes } from '@rlhf-streams/runs';
import { invalidRequest, problemResponse, requireJson } from '@rlhf-streams/service';
import type { HonoRequest } from 'hono';
import type { Api } from '../api.js';
import { accepted } from './accepted.js';
import type { RunsContext } from './context.js';
import { configExamples, requestedExample } from './examples.js';
import { requestRun } from './request-run.js';
import { locationOf, Run, RunConfig, viewOf } from './view.js';

const route = createRoute({
  method: 'post',
  path: '/v1/runs',
  tags: ['runs'],
  summary: 'Request a run',
  description: [
    'Answers when the request is durable. Repeating it is safe: the same configuration is the same run. One that ended before it was started may be requested anew.',
    'Models and data may be `bundled`, runs, artifacts, feedback, new models, and paths within the folders that the',
    "gateway's setting RLHF_HTTP_ROOTS allows; relative paths are relative to the first of them.",
  ].join(' '),
  middleware: requireJson,
  request: {
    body: {
      required: true,
      content: { 'application/json': { schema: RunConfig, examples: configExamples } },
    },
  },
  responses: {
    201: {
      description: 'The run is requested',
      headers: { Location: { description: 'where the run is', schema: { type: 'string' } } },
      content: { 'application/json': { schema: Run, example: requestedExample } },
    },
    200: {
      description: 'The run was requested before, with the same configuration',
      content: { 'application/json': { schema: Run } },
    },
    400: problemResponse('MALFORMED_JSON, or INVALID_REQUEST with every mistake by its path'),
    403: problemResponse('PATH_NOT_ALLOWED: a path outside of what RLHF_HTTP_ROOTS allows'),
    409: problemResponse(
      'RUN_EXISTS: there is a run of this id with another configuration; every setting that differs, by its path',
    ),
    413: problemResponse('BODY_TOO_LARGE, CONFIG_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUN_NOT_CONFIRMED: the log did not answer in time; repeat the request'),
  },
});

export function addCreateRun(api: Api, context: RunsContext): void {
  api.openapi(
    route,
    async (c) => {
      const asked = c.req.valid('json');
      const mistakes = runConfigMistakes(asked);
      if (mistakes.length > 0) throw invalidRequest({ issues: mistakes }, 'body');
      const [config] = await accepted([{ config: asked, at: [] }], c.env, context);
      const { state, isNew } = await requestRun(config!, context);
      const view = viewOf(state, context);
      if (!isNew) return c.json(view, 200);
      return c.json(view, 201, { location: locationOf(state.run) });
    },
    ({ success }, c) => (success ? undefined : explained(c.req)),
  );
}

/** Explains a body that does not fit the schema in the words of `parseRunConfig`. */
async function explained(request: HonoRequest): Promise<never> {
  throw invalidRequest({ issues: runConfigMistakes(await request.json()) }, 'body');
}
