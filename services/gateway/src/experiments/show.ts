import { createRoute } from '@hono/zod-openapi';
import { problemResponse } from '@rlhf-streams/service';
import type { Api } from '../api.js';
import type { ExperimentsContext } from './context.js';
import { experimentExample } from './examples.js';
import { ExperimentPath, knownExperiment } from './known.js';
import { Experiment, viewOfExperiment } from './view.js';

const route = createRoute({
  method: 'get',
  path: '/v1/experiments/{experiment}',
  tags: ['experiments'],
  summary: 'Show an experiment',
  request: { params: ExperimentPath },
  responses: {
    200: {
      description: 'Its runs in their order, how far each has come, and what each waits for',
      content: { 'application/json': { schema: Experiment, example: experimentExample } },
    },
    400: problemResponse('INVALID_REQUEST: no experiment is called so'),
    404: problemResponse('EXPERIMENT_NOT_FOUND'),
  },
});

export function addShowExperiment(api: Api, context: ExperimentsContext): void {
  api.openapi(route, (c) => {
    const { experiment } = c.req.valid('param');
    const members = knownExperiment(experiment, context.runs.state);
    return c.json(viewOfExperiment(experiment, members, context), 200);
  });
}
