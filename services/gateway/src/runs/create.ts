import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { createRoute } from '@hono/zod-openapi';
import { neverStarted, runConfigMistakes } from '@rlhf-streams/runs';
import { expectJson, invalidRequest, problem } from '@rlhf-streams/service';
import { withDeadline } from '@rlhf-streams/waiting';
import type { HonoRequest } from 'hono';
import type { Api } from '../api.js';
import { problemResponse } from '../problem.js';
import { admitted } from './admitted.js';
import { configExamples, requestedExample } from './examples.js';
import type { RunsContext } from './index.js';
import type { RunState } from './runs.js';
import { locationOf, Run, RunConfig, viewOf } from './view.js';

/** A configuration is an event, and stays in the memory of services: it names data and models, and holds none. */
const MAX_CONFIG_BYTES = 256 * 1024;

/** Tells requests apart that are the same. */
const REQUEST_HEADER = 'rlhf_request';

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
  middleware: async (c, next) => {
    expectJson(c.req.header('content-type'));
    await next();
  },
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
    409: problemResponse('RUN_EXISTS: there is a run of this id with another configuration'),
    413: problemResponse('BODY_TOO_LARGE, CONFIG_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUN_NOT_CONFIRMED: the log did not answer in time; repeat the request'),
  },
});

export function addCreateRun(api: Api, context: RunsContext): void {
  api.openapi(
    route,
    async (c) => {
      const mistakes = runConfigMistakes(c.req.valid('json'));
      if (mistakes.length > 0) throw invalidRequest({ issues: mistakes }, 'body');
      const config = await admitted(asJson(c.req.valid('json')), context.roots);
      const { run } = config;
      const existing = context.runs.state.get(run);
      if (existing && !neverStarted(existing)) return c.json(viewOf(same(existing, config), context), 200);
      const request = randomUUID();
      const { state, published } = await context.confirm(
        {
          type: 'run.requested',
          data: { run, config },
          id: `${run}/requested`,
          headers: { [REQUEST_HEADER]: request },
        },
        ({ requestOffset }) => requestOffset !== existing?.requestOffset,
      );
      const view = viewOf(same(state, config), context);
      if (!published || (await firstRequest(state, context)) !== request) return c.json(view, 200);
      return c.json(view, 201, { location: locationOf(run) });
    },
    ({ success }, c) => (success ? undefined : explained(c.req)),
  );
}

/** Tells of a body that does not fit its schema what `parseRunConfig` tells. */
async function explained(request: HonoRequest): Promise<never> {
  throw invalidRequest({ issues: runConfigMistakes(await request.json()) }, 'body');
}

/**
 * The request header of the event that made the run: gateways may have published the same request at once.
 */
async function firstRequest(
  { partition, requestOffset }: RunState,
  { log, timeoutMs }: Pick<RunsContext, 'log' | 'timeoutMs'>,
): Promise<string | undefined> {
  const offsets = Array.from({ length: partition + 1 }, (_, index) =>
    index === partition ? requestOffset : 0,
  );
  const read = async (signal: AbortSignal) => {
    const from = { runs: offsets };
    const options = { topics: ['runs'], partitions: [partition], maxBatchRecords: 1, follow: false, signal };
    for await (const { records } of log.read({ ...options, from }))
      return records[0]!.headers[REQUEST_HEADER];
    return undefined;
  };
  return withDeadline(read, { ms: timeoutMs, late: 'the log to show the first request' });
}

/** As it will come back from the log: JSON knows no -0, for example. */
function asJson(config: RunConfig): RunConfig {
  const text = JSON.stringify(config);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_CONFIG_BYTES)
    throw problem(
      413,
      'CONFIG_TOO_LARGE',
      'The configuration is too large',
      `expected at most ${MAX_CONFIG_BYTES} bytes with defaults filled in, got ${bytes}`,
    );
  return JSON.parse(text) as RunConfig;
}

/** The first request of a run counts; it may have been somebody else's. */
function same(state: RunState, config: RunConfig): RunState {
  if (isDeepStrictEqual(state.config, config)) return state;
  throw problem(
    409,
    'RUN_EXISTS',
    'The run exists',
    `run ${state.run} was requested with another configuration: choose another id, or see ${locationOf(state.run)}`,
  );
}
