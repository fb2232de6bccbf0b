import { createRoute } from '@hono/zod-openapi';
import { Experiment as ExperimentSchema, experimentMistakes } from '@rlhf-streams/runs';
import { invalidRequest, problemResponse, requireJson } from '@rlhf-streams/service';
import type { HonoRequest } from 'hono';
import { z } from 'zod';
import type { Api } from '../api.js';
import { accepted } from '../runs/accepted.js';
import { RunConfig } from '../runs/view.js';
import type { ExperimentsContext } from './context.js';
import { experimentExample, requestExample } from './examples.js';
import { knownExperiment } from './known.js';
import { requestExperiment } from './request-experiment.js';
import { Experiment, locationOf, viewOfExperiment } from './view.js';

const ExperimentRequest = ExperimentSchema.extend({
  runs: z.array(RunConfig).min(1).describe('in the order in which they are shown'),
}).meta({ id: 'ExperimentRequest' });

const route = createRoute({
  method: 'post',
  path: '/v1/experiments',
  tags: ['experiments'],
  summary: 'Request runs together',
  description: [
    'Each run starts when the runs have completed that it builds on (`run:ID`), of the set or requested before.',
    'All runs are requested or none. Answers when that is durable. Repeating it is safe: runs that are there already,',
    'with the same configurations, are left as they are, those that ended before they were started are requested anew,',
    'and those that are new join the experiment. A run that was requested alone, with the same configuration, joins too.',
  ].join(' '),
  middleware: requireJson,
  request: {
    body: {
      required: true,
      content: { 'application/json': { schema: ExperimentRequest, example: requestExample } },
    },
  },
  responses: {
    201: {
      description: 'The runs are requested, those at least that were not before',
      headers: { Location: { description: 'where the experiment is', schema: { type: 'string' } } },
      content: { 'application/json': { schema: Experiment, example: experimentExample } },
    },
    200: {
      description: 'All runs were requested before, with the same configurations',
      content: { 'application/json': { schema: Experiment } },
    },
    400: problemResponse(
      'MALFORMED_JSON; INVALID_REQUEST with every mistake by its path, as `runs[2].model`; RUN_SOURCE_UNKNOWN: a run builds on one that neither the set nor the log has',
    ),
    403: problemResponse('PATH_NOT_ALLOWED: a path outside of what RLHF_HTTP_ROOTS allows'),
    409: problemResponse(
      'RUN_EXISTS: there is a run of this id with another configuration, with other tags or of another experiment; everything that differs, by its path',
    ),
    413: problemResponse('BODY_TOO_LARGE, CONFIG_TOO_LARGE'),
    415: problemResponse('The body is not declared as JSON'),
    503: problemResponse('RUN_NOT_CONFIRMED: the log did not answer in time; repeat the request'),
  },
});

export function addCreateExperiment(api: Api, context: ExperimentsContext): void {
  api.openapi(
    route,
    async (c) => {
      const asked = c.req.valid('json');
      const mistakes = experimentMistakes(asked);
      if (mistakes.length > 0) throw invalidRequest({ issues: mistakes }, 'body');
      const { experiment, tags } = asked;
      const configs = asked.runs.map((config, index) => ({ config, at: ['runs', index] }));
      const runs = await accepted(configs, c.env, context);
      const isNew = await requestExperiment({ experiment, runs, ...(tags && { tags }) }, context);
      const members = knownExperiment(experiment, context.runs.state);
      const view = viewOfExperiment(experiment, members, context);
      if (!isNew) return c.json(view, 200);
      return c.json(view, 201, { location: locationOf(experiment) });
    },
    ({ success }, c) => (success ? undefined : explained(c.req)),
  );
}

/** Explains a body that does not fit the schema in the words of `parseExperiment`. */
async function explained(request: HonoRequest): Promise<never> {
  throw invalidRequest({ issues: experimentMistakes(await request.json()) }, 'body');
}
